"""The hostile requests as they go over the wire: through HAProxy, uvicorn and Ray Serve to the service."""

from __future__ import annotations

import json
import socket
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPResponse
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest
import schemathesis
from schemathesis import Case, GenerationMode

from semconv.artifacts import Run, TopKSnapshot
from tests.drill.described import generate, require_described
from tests.e2e.load import Load
from tests.e2e.served import Service, served
from tests.e2e.writer import Writer
from tests.unit.serve.hostile import EVENTS, EVERY, Hostile
from tests.unit.serve.shop_api import LIMITS

ANSWER_S = 30.0
REQUESTS = 1000
OWN = LIMITS.model_dump(include={"max_history", "max_exclude", "max_events", "max_id_length", "max_wish"})

LONGER = ("k=4", '"k": 4')
"""One item more than that shop's lists have, and fewer than this one's."""


class Reply(NamedTuple):
    """What came back."""

    status: int
    kind: str
    body: bytes

    @property
    def is_problem(self) -> bool:
        """Whether the service itself says what is wrong."""
        return self.kind == "application/problem+json"


def sent(url: str, request: bytes) -> Reply:
    """The answer to these very bytes."""
    with socket.create_connection((urlsplit(url).hostname, urlsplit(url).port), ANSWER_S) as connection:
        with suppress(OSError):  # it may be refused before its end
            connection.sendall(request)
        reply = HTTPResponse(connection)
        reply.begin()
        return Reply(reply.status, reply.getheader("content-type", ""), reply.read())


def wire(hostile: Hostile) -> bytes:
    """The request as it is, with what a client adds where it does not say otherwise itself."""
    body = hostile.body.encode() if isinstance(hostile.body, str) else hostile.body
    headers = list(hostile.headers)
    named = {name for name, _ in headers}
    added = [("connection", "close")] + [("host", "localhost")] * ("host" not in named)
    if body is not None:
        added += [("content-type", "application/json")] * ("content-type" not in named)
        added += [("content-length", str(len(body)))] * ("content-length" not in named)
    lines = [f"{hostile.method} {hostile.target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers + added)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + (body or b"")


@pytest.fixture(scope="module")
def service(tiny_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    limits = [part for name, value in OWN.items() for part in (f"--serve.{name}", value)]
    own = [*limits, "--serve.max_body_bytes", LIMITS.max_body_bytes]
    with served(tiny_run, tmp_path_factory.mktemp("malformed") / "state", *own) as started:
        yield started


def test_every_hostile_request_is_refused_and_breaks_nothing_for_others(service: Service, tiny_run: Run) -> None:
    whose: Counter[str] = Counter()
    asked = [one for one in EVERY if not any(part in f"{one.target} {one.body}" for part in LONGER)]
    with Load(service.url, TopKSnapshot.open(tiny_run.artifact("topk")), connections=1) as load:
        for hostile in asked:
            reply = sent(service.url, wire(hostile))
            if reply.is_problem or reply.status < 400:
                assert reply.status in (hostile.status, 404), (hostile, reply)  # this shop has another catalogue
                whose["the service"] += 1
            else:
                assert reply.status in (400, hostile.status), (hostile, reply)
                whose["what stands before it"] += 1
        load.reach(100)
    print(f"answered by: {dict(whose)}; lost of others' requests: {len(load.failures)}")
    assert whose["the service"] > 0.9 * len(asked)
    assert load.failures == []
    with service.client() as client:
        assert client.get("/v1/status").json()["events"]["position"] == 0, "something was stored"


def test_a_thousand_generated_requests_that_fit_nothing_break_nothing_for_others(
    service: Service, tiny_run: Run
) -> None:
    snapshot = TopKSnapshot.open(tiny_run.artifact("topk"))
    statuses: Counter[int] = Counter()
    before = 0

    def answered(case: Case) -> None:
        nonlocal before
        response = case.call()
        statuses[response.status_code] += 1
        if response.headers["content-type"][0].startswith("application/"):
            require_described(case, response)
        else:
            assert 400 <= response.status_code < 500, (case, response.text)
            before += 1

    schema = schemathesis.openapi.from_url(f"{service.url}/openapi.json")
    with Load(service.url, snapshot, connections=1) as load, Writer(service.url, snapshot) as writer:
        generate(schema, (GenerationMode.NEGATIVE,), REQUESTS, answered)
        load.reach(100)
        writer.reach(20)
    print(f"by status: {dict(statuses)}, {before} by what stands before the service; events: {writer.told}")
    assert load.failures == []
    assert writer.failures == 0
    writer.require_stored(service.state)


def test_a_body_that_never_ends_is_given_up(service: Service) -> None:
    head = f"POST {EVENTS} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 90\r\n\r\n"
    began = time.monotonic()
    reply = sent(service.url, f'{head}{{"user_id"'.encode())
    assert reply.status == 408
    assert json.loads(reply.body)["type"] == "urn:semconv:body-too-slow"
    assert time.monotonic() - began < ANSWER_S

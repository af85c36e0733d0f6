"""Hostile requests are answered as they should be, and change nothing that they should not."""

from __future__ import annotations

import asyncio
import json
import re
import time
from pathlib import Path
from typing import Any

import pytest

from serve import http
from serve.bodies import LARGE, parse
from serve.http import ProblemError
from serve.keys import add
from tests.unit.serve.asgi import Reply, check_problem
from tests.unit.serve.hostile import EVENTS, EVERY, LIST, RECOMMEND, Hostile
from tests.unit.serve.shop_api import LIMITS, Shop, open_shop


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return open_shop(tmp_path_factory.mktemp("hostile"))


def ask(shop: Shop, hostile: Hostile) -> Reply:
    named = any(name == "host" for name, _ in hostile.headers)
    body = hostile.body.encode() if isinstance(hostile.body, str) else hostile.body
    headers = list(hostile.headers)
    if body is not None and not any(name == "content-type" for name, _ in headers):
        headers.append(("content-type", "application/json"))
    host = None if named else "localhost"
    return shop.call(hostile.method, hostile.target, body=body or b"", headers=headers, host=host)


@pytest.mark.parametrize(
    "hostile", EVERY, ids=lambda hostile: f"{hostile.method} {hostile.target[:60]} {hostile.body!s:.40}"
)
def test_a_hostile_request_is_answered_as_it_should_be(shop: Shop, hostile: Hostile) -> None:
    reply = ask(shop, hostile)
    if hostile.status < 400:
        assert reply.status == hostile.status, reply.body
    else:
        check_problem(reply, hostile.status)
    assert re.fullmatch("[A-Za-z0-9._-]{1,64}", reply.header("x-request-id") or "")
    assert shop.store.position() == 0, "something was stored"


def test_a_request_without_a_host_is_refused(shop: Shop) -> None:
    check_problem(shop.call("GET", LIST, host=None), 400, "invalid-host")


@pytest.mark.parametrize("depth", [900, 5000, 400_000])
@pytest.mark.parametrize("one", ["[", '{"a":'])
def test_deep_json_is_a_400_wherever_the_parser_gives_up(depth: int, one: str) -> None:
    closing = "]" if one == "[" else "}"
    with pytest.raises(ProblemError) as caught:
        parse((one * depth + "1" + closing * (depth - 1)).encode())
    assert caught.value.status == 400


def test_a_number_of_a_million_digits_costs_nothing() -> None:
    started = time.thread_time()
    with pytest.raises(ProblemError):
        parse(b'{"k": ' + b"9" * 1_000_000 + b"}")
    assert time.thread_time() - started < 1


def test_reading_stops_as_soon_as_a_body_is_too_long(shop: Shop) -> None:
    read = 0

    async def ask_forever() -> int:
        nonlocal read
        scope = {
            "type": "http",
            "method": "POST",
            "path": EVENTS,
            "raw_path": EVENTS.encode(),
            "query_string": b"",
            "headers": [(b"host", b"localhost"), (b"content-type", b"application/json")],
        }
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            nonlocal read
            read += 100
            return {"type": "http.request", "body": b" " * 100, "more_body": True}

        async def send(message: Any) -> None:
            sent.append(message)

        await shop.api(scope, receive, send)
        return int(sent[0]["status"])

    assert asyncio.run(ask_forever()) == 413
    assert read <= LIMITS.max_body_bytes + 100


def test_a_client_that_stops_in_the_middle_of_its_body_is_waited_for_no_longer_than_the_limit(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "BODY_S", 0.05)
    event = json.dumps({"user_id": "a", "item_id": "zebra"}).encode()
    sent: list[Any] = []

    async def ask() -> None:
        begun = [{"type": "http.request", "body": event[:9], "more_body": True}]

        async def receive() -> dict[str, Any]:
            if not begun:
                await asyncio.Event().wait()
            return begun.pop()

        async def send(message: Any) -> None:
            sent.append(message)

        headers = [(b"host", b"localhost"), (b"content-type", b"application/json")]
        scope = {"type": "http", "method": "POST", "path": EVENTS, "raw_path": EVENTS.encode(), "query_string": b""}
        await shop.api(scope | {"headers": headers}, receive, send)

    asyncio.run(ask())
    assert sent[0]["status"] == 408
    assert (b"connection", b"close") in sent[0]["headers"]
    assert json.loads(sent[1]["body"])["type"] == "urn:semconv:body-too-slow"
    assert shop.store.position() == 0


def test_a_client_that_leaves_in_the_middle_of_its_body_stores_nothing(shop: Shop) -> None:
    event = json.dumps({"user_id": "a", "item_id": "zebra"}).encode()

    async def leave() -> list[Any]:
        messages = [
            {"type": "http.disconnect"},
            {"type": "http.request", "body": event, "more_body": True},
        ]
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            return messages.pop()

        async def send(message: Any) -> None:
            sent.append(message)

        headers = [(b"host", b"localhost"), (b"content-type", b"application/json")]
        scope = {"type": "http", "method": "POST", "raw_path": EVENTS.encode(), "query_string": b"", "headers": headers}
        await shop.api(scope, receive, send)
        return sent

    assert asyncio.run(leave())[0]["status"] == 400
    assert shop.store.position() == 0


def test_a_websocket_is_refused_and_the_server_s_start_and_stop_are_answered(shop: Shop) -> None:
    async def speak(kind: str, messages: list[str]) -> list[str]:
        waiting = [{"type": message} for message in reversed(messages)]
        sent: list[str] = []

        async def receive() -> dict[str, Any]:
            return waiting.pop()

        async def send(message: Any) -> None:
            sent.append(message["type"])

        await shop.api({"type": kind, "path": "/", "headers": []}, receive, send)
        return sent

    assert asyncio.run(speak("websocket", ["websocket.connect"])) == ["websocket.close"]
    assert asyncio.run(speak("lifespan", ["lifespan.startup", "lifespan.shutdown"])) == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]


def test_a_body_may_come_in_pieces(shop: Shop) -> None:
    pieces = [b'{"hist', b"", b'ory": ["zebra"]', b"}"]
    assert (
        shop.call("POST", RECOMMEND, body=pieces, headers=[("content-type", "application/json; charset=utf-8")]).status
        == 200
    )


def test_a_large_body_is_read_as_a_small_one_is(tmp_path: Path) -> None:
    shop = open_shop(tmp_path, LIMITS.model_copy(update={"max_body_bytes": 10 * LARGE, "max_history": 10_000}))
    history = ["zebra"] * 9999
    answer = shop.call("POST", RECOMMEND, content={"history": [*history, "nowhere"]})
    assert len(json.dumps(history)) > LARGE
    assert answer.json()["ignored_items"] == 1
    check_problem(shop.call("POST", RECOMMEND, content={"history": [*history, ""]}), 422, "invalid-request")
    check_problem(shop.call("POST", RECOMMEND, body=b"[" * 2 * LARGE), 400, "malformed-json")


def test_head_has_the_headers_of_get_and_no_body(shop: Shop) -> None:
    for path in ("/healthz", "/docs", "/", "/v1/items/zebra", "/v1/users/nobody", "/page/nowhere"):
        got, head = shop.call("GET", path), shop.call("HEAD", path)
        assert (head.status, head.body) == (got.status, b"")
        assert dict(head.headers) | {"x-request-id": ""} == dict(got.headers) | {"x-request-id": ""}


def test_keys_are_asked_for_with_their_scopes_and_limits(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    keys = {scope: add(file, scope, [scope]) for scope in ("read", "events", "admin")}
    shop = open_shop(tmp_path, LIMITS.model_copy(update={"keys": str(file)}))
    event = {"user_id": "new", "item_id": "zebra"}
    asked: list[tuple[str, str, Any, str]] = [
        ("GET", LIST, None, "read"),
        ("POST", RECOMMEND, {"history": []}, "read"),
        ("GET", "/v1/status", None, "read"),
        ("POST", EVENTS, event, "events"),
        ("PUT", "/v1/items/zebra", {}, "admin"),
        ("DELETE", "/v1/users/new", None, "admin"),
    ]
    for method, path, content, scope in asked:
        check_problem(shop.call(method, path, content=content), 401, "key-needed")
        for name, key in keys.items():
            reply = shop.call(method, path, content=content, headers=[("authorization", f"Bearer {key}")])
            if name == scope:
                assert reply.status in (200, 201), reply.body
            else:
                check_problem(reply, 403, "scope-missing")
    for path in ("/healthz", "/readyz", "/", "/docs"):
        assert shop.call("GET", path).status == 200
    assert not any(key in shop.logged.getvalue() for key in keys.values())


def test_too_many_requests_of_one_key_are_refused_and_those_of_another_are_not(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    first, second = (add(file, name, ["read"]) for name in ("first", "second"))
    shop = open_shop(tmp_path, LIMITS.model_copy(update={"keys": str(file), "rate": 0.001}))
    assert shop.call("GET", LIST, headers=[("x-api-key", first)]).status == 200
    check_problem(shop.call("GET", LIST, headers=[("x-api-key", first)]), 429, "too-many-requests")
    assert shop.call("GET", LIST, headers=[("x-api-key", second)]).status == 200


def test_the_same_idempotency_key_of_another_caller_is_another_one(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    keys = [add(file, name, ["events"]) for name in ("one", "two")]
    shop = open_shop(tmp_path, LIMITS.model_copy(update={"keys": str(file)}))
    for key, item in zip(keys, ("zebra", "apple"), strict=True):
        headers = [("x-api-key", key), ("idempotency-key", "same")]
        content = {"user_id": "new", "item_id": item}
        assert shop.call("POST", EVENTS, content=content, headers=headers).json() == {"accepted": 1, "repeated": False}

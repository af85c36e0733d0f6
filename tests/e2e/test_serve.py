"""The service over artifacts made by the real pipelines: who is answered from where, and what a write changes."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import numpy as np
import pytest

from semconv.artifacts import Corpus, Run, TopKSnapshot
from semconv.errors import ResourceError
from serve.demo import require_sources
from tests.conftest import REPOSITORY
from tests.e2e.served import Service, arguments_of

REPLICAS = 2
JSON = {"content-type": "application/json"}
PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def http(service: Service) -> Iterator[httpx.Client]:
    with service.client() as client:
        yield client


def user_path(user_id: str) -> str:
    return f"/v1/users/{user_id}/recommendations"


def history_of(corpus: Corpus, user: int) -> list[str]:
    return [corpus.item_ids[item] for item in corpus.sequences[user]]


def item_ids(answer: dict[str, Any]) -> list[str]:
    return [item["item_id"] for item in answer["items"]]


def at_every_replica(service: Service, holds: Callable[[httpx.Client], bool]) -> None:
    """Wait until it holds on a connection to each ingress replica: HAProxy sends each connection where it likes."""
    until, seen = time.monotonic() + PATIENCE_S, set[str]()
    while len(seen) < REPLICAS:
        assert time.monotonic() < until, f"it holds at {len(seen)} replicas"
        with service.client() as client:
            if holds(client):
                seen.add(client.get("/v1/status").json()["replica"])


def test_every_known_user_is_answered_with_their_own_list_from_the_cache(
    http: httpx.Client, corpus: Corpus, snapshot: TopKSnapshot
) -> None:
    for user_id in corpus.user_ids:
        answer = http.get(user_path(user_id), params={"k": snapshot.k}).json()
        found = snapshot.lookup(user_id)
        assert found is not None
        assert answer["source"] == "cache"
        assert item_ids(answer) == [corpus.item_ids[item] for item in found.items]
        titles = [corpus.items["title"][int(item)].as_py() for item in found.items]
        assert [item["title"] for item in answer["items"]] == titles


def test_cache_and_live_model_give_one_list_for_one_history(
    http: httpx.Client, corpus: Corpus, snapshot: TopKSnapshot
) -> None:
    for user in (0, 1, corpus.n_users // 2, corpus.n_users - 1):
        cached = http.get(user_path(corpus.user_ids[user]), params={"k": snapshot.k}).json()
        question = {"history": history_of(corpus, user), "k": snapshot.k}
        live = http.post("/v1/recommendations", json=question).json()
        assert (cached["source"], live["source"]) == ("cache", "live")
        assert item_ids(cached) == item_ids(live)
        scores = [[item["score"] for item in answer["items"]] for answer in (cached, live)]
        np.testing.assert_allclose(scores[0], scores[1], atol=1e-4)
        assert cached["versions"] == live["versions"]


def test_a_history_with_unknown_items_is_answered_without_them(http: httpx.Client, corpus: Corpus) -> None:
    history = history_of(corpus, 3)
    plain = http.post("/v1/recommendations", json={"history": history}).json()
    dirty = http.post("/v1/recommendations", json={"history": ["no such item", *history, "ü"]}).json()
    assert (plain["ignored_items"], dirty["ignored_items"]) == (0, 2)
    assert item_ids(plain) == item_ids(dirty)
    assert not set(item_ids(plain)) & set(history)


def test_an_accepted_event_counts_at_every_replica_and_its_new_list_is_cached_again(
    service: Service, http: httpx.Client, corpus: Corpus
) -> None:
    user_id = corpus.user_ids[7]
    first = item_ids(http.get(user_path(user_id)).json())[0]
    event = {"user_id": user_id, "item_id": first}
    answered = [http.post("/v1/events", json=event, headers={"idempotency-key": "once"}) for _ in range(2)]
    assert [response.status_code for response in answered] == [201, 201]
    assert [response.json()["repeated"] for response in answered] == [False, True]
    fresh = http.get(user_path(user_id)).json()
    assert fresh["source"] == "live"
    assert first not in item_ids(fresh)

    def cached(client: httpx.Client) -> bool:
        known = client.get(f"/v1/users/{user_id}").json()
        again = client.get(user_path(user_id)).json()
        assert (known["new_events"], item_ids(again)) == (1, item_ids(fresh))
        return bool(again["source"] == "cache")

    at_every_replica(service, cached)


def test_an_item_out_of_stock_and_an_erased_user_are_gone_at_every_replica(
    service: Service, http: httpx.Client, corpus: Corpus
) -> None:
    user_id, erased = corpus.user_ids[8], corpus.user_ids[9]
    first = item_ids(http.get(user_path(user_id)).json())[0]
    assert http.put(f"/v1/items/{first}", json={"available": False}).json()["recommendable"] is False
    assert http.delete(f"/v1/users/{erased}").status_code == 200

    def gone(client: httpx.Client) -> bool:
        assert first not in item_ids(client.get(user_path(user_id)).json())
        return client.get(user_path(erased)).status_code == 404

    at_every_replica(service, gone)
    assert http.put(f"/v1/items/{first}", json={"available": True}).json()["recommendable"] is True
    assert item_ids(http.get(user_path(user_id)).json())[0] == first


def test_what_cannot_be_answered_is_a_problem_document_through_the_proxy_too(
    http: httpx.Client, corpus: Corpus
) -> None:
    known = user_path(corpus.user_ids[0])
    responses = {
        400: http.post("/v1/recommendations", content="{", headers=JSON),
        404: http.get(user_path("nobody at all")),
        405: http.delete(known),
        413: http.post("/v1/recommendations", content=b" " * 2_000_000, headers=JSON),
        422: http.get(known, params={"k": 10**6}),
    }
    for status, response in responses.items():
        assert (response.status_code, response.json()["status"]) == (status, status)
        assert response.headers["content-type"] == "application/problem+json"


def test_the_service_says_what_it_serves_and_how(http: httpx.Client, snapshot: TopKSnapshot) -> None:
    assert http.get("/healthz").status_code == http.get("/readyz").status_code == 200
    status = http.get("/v1/status").json()
    assert status["versions"] == {"snapshot": snapshot.fingerprint, **snapshot.manifest.lineage}
    assert (status["users"], status["items"]) == (snapshot.n_users, snapshot.n_items)
    assert status["live"]["model"] == {snapshot.fingerprint: snapshot.manifest.lineage["model"]}
    assert (status["ingress"], status["live"]["up"]) == ("haproxy", True)
    assert http.get("/openapi.json").json()["openapi"].startswith("3.")
    assert "/v1/recommendations" in http.get("/docs").text
    assert len(http.get("/healthz").headers.get_list("x-request-id")) == 1


def test_asking_finds_the_service_and_shows_both_answers(service: Service) -> None:
    done = service.command("serve.ask")
    assert done.returncode == 0, done.stderr
    assert "source cache" in done.stdout
    assert "source live" in done.stdout


def test_the_demo_ends_well_behind_the_default_proxy_too(tiny_run: Run) -> None:
    own = ["--serve.port", "0", "--no-serve.haproxy", "--serve.state", tiny_run.path.parent / "demo"]
    done = finished("serve.demo", *arguments_of(tiny_run, *own))
    assert done.returncode == 0, done.stderr
    assert "source cache" in done.stdout
    assert "source live" in done.stdout
    assert str(tiny_run.artifact("report") / "index.html") in done.stdout


def test_a_demo_answered_from_elsewhere_than_it_should_be_fails() -> None:
    require_sources({"source": "cache"}, {"source": "live"})
    with pytest.raises(ResourceError, match="from fallback, not from live"):
        require_sources({"source": "cache"}, {"source": "fallback"})


def finished(module: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-m", module, *map(str, arguments)]
    return subprocess.run(program, cwd=REPOSITORY, capture_output=True, text=True, timeout=300, check=False)


def test_what_keeps_the_service_from_starting_is_one_clear_message(tiny_run: Run) -> None:
    def complaint(*more: object) -> str:
        done = finished("serve.run", *arguments_of(tiny_run, *more))
        assert done.returncode == 2
        assert done.stdout == ""
        return done.stderr.strip().splitlines()[-1]

    assert "Run the stage that makes it." in complaint("--run.name", "absent")
    assert "serve.keys is not set" in complaint("--serve.host", "0.0.0.0")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert f"127.0.0.1:{port} is in use" in complaint("--serve.port", port)

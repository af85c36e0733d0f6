"""A service that other machines may reach: who has which key may do what, through the proxy and past it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from semconv.artifacts import Corpus, Run
from serve import keys
from tests.e2e.served import Service, served

KEYS: dict[str, str] = {}


@pytest.fixture(scope="module")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of three keys with one scope each; `KEYS` has them in clear."""
    file = tmp_path_factory.mktemp("keys") / "keys.json"
    for scope in ("read", "events", "admin"):
        KEYS[scope] = keys.add(file, scope, [scope])
    return file


@pytest.fixture(scope="module")
def guarded(tiny_run: Run, key_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    own = ["--serve.host", "0.0.0.0", "--serve.keys", key_file, "--serve.log_ids"]
    with served(tiny_run, tmp_path_factory.mktemp("guarded") / "state", *own) as started:
        yield started


@pytest.fixture
def http(guarded: Service) -> Iterator[httpx.Client]:
    with guarded.client() as client:
        yield client


def bearer(scope: str) -> dict[str, str]:
    return {"authorization": f"Bearer {KEYS[scope]}"}


def requests(corpus: Corpus) -> dict[str, tuple[str, str, dict[str, object]]]:
    """One request of each scope; the event is of a user whom nobody asks about."""
    user_id = corpus.user_ids[0]
    event = {"user_id": corpus.user_ids[-1], "item_id": corpus.item_ids[0]}
    return {
        "read": ("GET", f"/v1/users/{user_id}/recommendations", {}),
        "events": ("POST", "/v1/events", {"json": event}),
        "admin": ("PUT", f"/v1/items/{corpus.item_ids[1]}", {"json": {"available": True}}),
    }


def test_without_a_key_or_with_a_wrong_one_nothing_is_told(http: httpx.Client, corpus: Corpus) -> None:
    for method, path, options in requests(corpus).values():
        for headers in ({}, {"authorization": "Bearer " + "x" * 43}, {"x-api-key": ""}):
            response = http.request(method, path, headers=headers, **options)  # type: ignore[arg-type]
            assert (response.status_code, response.json()["status"]) == (401, 401)
    assert http.get("/v1/status").status_code == 401
    assert http.get("/healthz").status_code == http.get("/readyz").status_code == 200


def test_a_key_opens_what_its_scope_names_and_nothing_else(http: httpx.Client, corpus: Corpus) -> None:
    for needed, (method, path, options) in requests(corpus).items():
        for scope in KEYS:
            response = http.request(method, path, headers=bearer(scope), **options)  # type: ignore[arg-type]
            assert response.status_code == (403 if scope != needed else 201 if needed == "events" else 200)


def test_the_replicas_own_ports_ask_for_a_key_too(guarded: Service, corpus: Corpus) -> None:
    ports = {
        connection.laddr.port
        for replica in guarded.processes("Gateway")
        for connection in replica.net_connections("tcp")
        if connection.status == "LISTEN" and 30000 <= connection.laddr.port <= 31000
    }
    assert len(ports) == 2
    for port in ports:
        assert httpx.get(f"http://127.0.0.1:{port}/v1/status", trust_env=False).status_code == 401


def test_another_name_of_the_host_is_refused(http: httpx.Client) -> None:
    assert http.get("/healthz", headers={"host": "shop.example"}).status_code == 421


def test_asking_takes_the_key_from_the_environment(guarded: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = guarded.command("serve.ask")
    assert refused.returncode == 2
    assert "SEMCONV_API_KEY" in refused.stderr
    monkeypatch.setitem(os.environ, "SEMCONV_API_KEY", KEYS["read"])
    assert "source cache" in guarded.command("serve.ask").stdout


def test_a_key_that_is_removed_opens_nothing_soon(http: httpx.Client, key_file: Path) -> None:
    assert http.get("/v1/status", headers=bearer("read")).status_code == 200
    keys.remove(key_file, "read")
    until = time.monotonic() + 30
    while http.get("/v1/status", headers=bearer("read")).status_code != 401:
        assert time.monotonic() < until
        time.sleep(0.1)

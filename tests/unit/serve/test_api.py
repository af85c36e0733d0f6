"""The HTTP API in one process: sources, limits, and errors as RFC 9457 has them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pytest

from semconv.artifacts import TopKSnapshot, TopKWriter, finish, staging
from semconv.artifacts.topk import NONE, users_batch, write_catalogue
from semconv.config import ServeSettings
from serve.answers import Live, LiveAnswer, LiveError, Recommendations
from serve.api import Api

K = 4
LIMITS = ServeSettings(max_history=5, max_id_length=20, max_body_bytes=400, live_deadline_s=0.05)
USERS = {"ann": [2, 0], "a/b ü": [1, 2, 3, 0], "empty": []}
Call = Callable[..., httpx.Response]


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> TopKSnapshot:
    target = tmp_path_factory.mktemp("api") / "topk"
    items = np.full((len(USERS), K), NONE, np.int32)
    for row, listed in enumerate(USERS.values()):
        items[row, : len(listed)] = listed
    scores = np.where(items == NONE, -np.inf, 1.5).astype(np.float32)
    with staging(target) as folder:
        popularity = np.array([5, 9, 7, 1, 0, 3])
        write_catalogue(
            folder, item_ids=[f"i{i}" for i in range(6)], titles=["A", "B", None, "D", "E", "F"], popularity=popularity
        )
        writer = TopKWriter(folder, shards=2, k=K)
        writer.add(users_batch(pa.array(USERS), items, scores))
        writer.finish(pa.array(USERS))
        finish(
            folder,
            "topk",
            settings={"precache": {"k": K, "filter_seen": True}},
            inputs={},
            counts={},
            request="asked",
            seconds=0,
        )
    return TopKSnapshot.open(target)


async def echo(history: list[int]) -> LiveAnswer:
    """Answers with the history itself, so that a test sees what reached the model."""
    return LiveAnswer(history, [0.5] * len(history), "a model")


async def broken(history: list[int]) -> LiveAnswer:
    raise LiveError("it is down")


async def stuck(history: list[int]) -> LiveAnswer:
    await asyncio.Event().wait()
    return await echo(history)


def client(snapshot: TopKSnapshot, live: Live = echo) -> Call:
    async def model() -> str:
        return (await live([])).model

    api = Api(Recommendations(snapshot, live, LIMITS.live_deadline_s), model, LIMITS)

    def call(method: str, path: str, **options: Any) -> httpx.Response:
        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(api)
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
                return await http.request(method, path, **options)

        return asyncio.run(send())

    return call


@pytest.fixture
def call(snapshot: TopKSnapshot) -> Call:
    return client(snapshot)


def ids(answer: dict[str, Any]) -> list[str]:
    return [item["item_id"] for item in answer["items"]]


def test_a_known_user_gets_their_own_list_from_the_cache(call: Call, snapshot: TopKSnapshot) -> None:
    answer = call("GET", "/v1/users/ann/recommendations").json()
    assert answer.pop("took_ms") >= 0
    assert answer == {
        "source": "cache",
        "items": [{"item_id": "i2", "title": None, "score": 1.5}, {"item_id": "i0", "title": "A", "score": 1.5}],
        "versions": {"snapshot": snapshot.fingerprint, "model": None},
    }
    assert call("GET", "/v1/users/empty/recommendations").json()["items"] == []


def test_k_cuts_the_list_and_ids_may_hold_slashes_and_any_letters(call: Call) -> None:
    assert ids(call("GET", "/v1/users/a%2Fb%20%C3%BC/recommendations?k=3").json()) == ["i1", "i2", "i3"]
    assert ids(call("GET", "/v1/users/a%2Fb%20%C3%BC/recommendations").json()) == ["i1", "i2", "i3", "i0"]


def test_a_history_reaches_the_model_without_the_ids_that_the_catalogue_does_not_hold(call: Call) -> None:
    answer = call("POST", "/v1/recommendations", json={"history": ["i3", "nowhere", "i1", "i3"], "k": 2}).json()
    assert (answer["source"], ids(answer), answer["ignored_items"]) == ("live", ["i3", "i1"], 1)
    assert answer["versions"]["model"] == "a model"


@pytest.mark.parametrize("live", [broken, stuck])
def test_without_the_model_popular_items_that_are_not_in_the_history_answer(snapshot: TopKSnapshot, live: Live) -> None:
    call = client(snapshot, live)
    response = call("POST", "/v1/recommendations", json={"history": ["i1", "i5"], "k": 3})
    assert response.status_code == 200
    answer = response.json()
    assert (answer["source"], ids(answer), answer["versions"]["model"]) == ("fallback", ["i2", "i0", "i3"], None)
    assert call("GET", "/v1/users/ann/recommendations").json()["source"] == "cache"


def test_the_status_says_whether_the_model_is_there(snapshot: TopKSnapshot) -> None:
    status = client(snapshot)("GET", "/v1/status").json()
    assert (status["users"], status["items"], status["k"]) == (len(USERS), 6, K)
    assert status["versions"]["snapshot"] == snapshot.fingerprint
    assert status["live"] == {"up": True, "model": "a model"}
    assert client(snapshot, broken)("GET", "/v1/status").json()["live"] == {"up": False, "reason": "it is down"}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/users/nobody/recommendations", 404),
        ("GET", "/v1/users/%00/recommendations", 404),
        ("GET", "/v1/users/%ED%A0%80/recommendations", 404),
        ("GET", "/v1/users/..%2F..%2Fetc%2Fpasswd/recommendations", 404),
        ("GET", "/v1/users//recommendations", 404),
        ("GET", "/v1/users/ann", 404),
        ("GET", "/", 404),
        ("GET", f"/v1/users/{'x' * 21}/recommendations", 422),
        ("GET", "/v1/users/ann/recommendations?k=0", 422),
        ("GET", "/v1/users/ann/recommendations?k=5", 422),
        ("GET", "/v1/users/ann/recommendations?k=-1", 422),
        ("GET", "/v1/users/ann/recommendations?k=%C2%B2", 422),
        ("GET", f"/v1/users/ann/recommendations?k={'9' * 5000}", 422),
        ("GET", "/v1/users/ann/recommendations?k=", 422),
        ("GET", "/v1/users/ann/recommendations?k=1&k=2", 400),
        ("GET", "/v1/users/ann/recommendations?q=1", 400),
        ("GET", "/v1/users/ann/recommendations?" + "&".join("k" * 30), 400),
        ("POST", "/v1/users/ann/recommendations", 405),
        ("GET", "/v1/recommendations", 405),
        ("DELETE", "/healthz", 405),
    ],
)
def test_what_cannot_be_answered_is_a_problem_document(call: Call, method: str, path: str, status: int) -> None:
    check_problem(call(method, path), status)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("", 400),
        ("{", 400),
        ('{"history": [' + "[" * 150 + "]" * 150 + "]}", 422),
        ("[" * 300, 400),
        ("null", 422),
        ("[]", 422),
        ("{}", 422),
        ('{"history": null}', 422),
        ('{"history": "i1"}', 422),
        ('{"history": [1]}', 422),
        ('{"history": ["i1"], "k": "3"}', 422),
        ('{"history": ["i1"], "k": 1.5}', 422),
        ('{"history": ["i1"], "k": true}', 422),
        ('{"history": ["i1"], "k": 0}', 422),
        ('{"history": ["i1"], "k": 5}', 422),
        ('{"history": ["i1"], "k": 1e400}', 422),
        ('{"history": ["i1"], "wish": "red"}', 422),
        ('{"history": ["i1", "i1", "i1", "i1", "i1", "i1"]}', 422),
        ('{"history": ["' + "x" * 21 + '"]}', 422),
        ('{"history": ["\\ud800"]}', 400),
        (b'{"history": ["\xff"]}', 400),
        (" " * 401, 413),
    ],
)
def test_a_malformed_body_is_a_problem_document(call: Call, body: str | bytes, status: int) -> None:
    check_problem(call("POST", "/v1/recommendations", content=body), status)


def check_problem(response: httpx.Response, status: int) -> None:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["status"] == status
    assert problem["type"].startswith("urn:semconv:")
    assert problem["title"]
    assert problem["detail"]
    assert ("allow" in response.headers) == (status == 405)


def test_head_has_the_headers_of_get_and_no_body(call: Call) -> None:
    got, head = (call(method, "/healthz") for method in ("GET", "HEAD"))
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == got.headers["content-length"] == str(len(got.content))


def test_the_document_describes_what_is_there_with_its_limits_and_its_page_loads_nothing(call: Call) -> None:
    document = call("GET", "/openapi.json").json()
    for path, methods in document["paths"].items():
        for method in methods:
            assert call(method.upper(), path.replace("{user_id}", "ann"), content="{}").status_code in {200, 422}
    history = document["components"]["schemas"]["HistoryRequest"]["properties"]
    assert history["history"]["maxItems"] == LIMITS.max_history
    assert history["k"] == {**history["k"], "minimum": 1, "maximum": K, "default": K}
    page = call("GET", "/docs")
    assert "/v1/recommendations" in page.text
    assert "http" not in json.dumps(page.text).replace("https", "http")
    assert page.headers["content-security-policy"].startswith("default-src 'none'")

"""The HTTP API in one process: every endpoint, what it takes and what it says."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from serve.store import StoreError
from tests.unit.artifacts.shop_snapshot import CATALOGUE, answer, history_of
from tests.unit.serve.asgi import check_problem
from tests.unit.serve.shop_api import LIMITS, MODEL, USERS, Shop, down, open_shop, served, write_shop


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return open_shop(tmp_path)


def ids(content: dict[str, Any]) -> list[str]:
    return [item["item_id"] for item in content["items"]]


def recommendations(user_id: str, query: str = "") -> str:
    return f"/v1/users/{quote(user_id, safe='')}/recommendations{query}"


def test_every_user_gets_their_own_list_from_the_cache_again_and_again(shop: Shop) -> None:
    for _ in range(2):
        for number, user_id in enumerate(USERS):
            content = shop.call("GET", recommendations(user_id)).json()
            items, scores = answer(number)
            assert content.pop("took_ms") >= 0
            assert content.pop("versions") == {
                "snapshot": shop.snapshot.fingerprint,
                "model": MODEL,
                "variant": "main",
            }
            assert content.pop("source") == "cache"
            assert ids(content) == [CATALOGUE[item] for item in items]
            assert [item["score"] for item in content.pop("items")] == scores
            assert not content


def test_k_and_filters_reach_the_list(shop: Shop) -> None:
    whole = ids(shop.call("GET", recommendations("user 3")).json())
    assert ids(shop.call("GET", recommendations("user 3", "?k=2")).json()) == whole[:2]
    assert ids(shop.call("GET", recommendations("user 3", "?k=3")).json()) == whole
    for query in ("?exclude=apple&exclude=zebra", "?exclude=apple,zebra", "?exclude=apple%2Czebra&k=3&wish="):
        left = shop.call("GET", recommendations("user 3", query)).json()
        assert not {"apple", "zebra"} & set(ids(left))
    assert ids(shop.call("GET", recommendations("user 2", "?brand=orchard")).json()) in ([], ["apple"])
    assert set(ids(shop.call("GET", recommendations("user 2", "?category=Fruit")).json())) <= {"Äpfel", "日本"}


def test_an_answer_that_is_kept_ready_goes_with_a_swap_an_item_s_change_an_event_and_an_erasure(
    shop: Shop, tmp_path: Path
) -> None:
    path = recommendations("user 3")
    first = shop.call("GET", path).json()
    assert shop.call("GET", path).json()["items"] == first["items"]
    shop.call("PUT", "/v1/items/zebra", content={"available": False})
    assert "zebra" not in ids(shop.call("GET", path).json())
    shop.call("PUT", "/v1/items/zebra", content={"available": True})
    assert shop.call("GET", path).json()["items"] == first["items"]

    other = write_shop(tmp_path / "other", shift=1)
    asyncio.run(shop.service.swap(served(other)))
    swapped = shop.call("GET", path).json()
    assert swapped["versions"]["snapshot"] == other.fingerprint
    assert ids(swapped) == [CATALOGUE[item] for item in answer(4)[0]] != ids(first)

    shop.call("GET", path)
    shop.call("POST", "/v1/events", content={"user_id": "user 3", "item_id": "apple"})
    assert shop.call("GET", path).json()["source"] == "live"
    shop.call("DELETE", "/v1/users/user%203")
    check_problem(shop.call("GET", path), 404, "unknown-user")


def test_a_history_is_answered_by_the_live_model_and_below_it_by_what_stands(shop: Shop) -> None:
    asked = {"history": ["apple", "nowhere", "zebra"], "k": 2, "exclude": ["日本"], "wish": "fruit", "category": None}
    content = shop.call("POST", "/v1/recommendations", content=asked).json()
    assert (content["source"], content["ignored_items"], len(content["items"])) == ("live", 1, 2)
    assert shop.live.asked[-1].history == (2, 0)
    assert shop.live.asked[-1].wish == "fruit"
    assert "fallback" not in content
    shop.live.broken = down()
    content = shop.call("POST", "/v1/recommendations", content={"history": ["zebra"]}).json()
    assert content["source"] == "fallback"
    assert content["fallback"] in ("collaborative", "popular")
    assert content["versions"]["model"] is None
    assert content["items"]


def test_events_join_the_history_once_however_often_they_are_sent(shop: Shop) -> None:
    event = {"user_id": "new", "item_id": "apple", "timestamp": "2026-01-31T12:00:00+01:00"}
    first = shop.call("POST", "/v1/events", content=event, headers=[("idempotency-key", "once")])
    again = shop.call("POST", "/v1/events", content=event, headers=[("idempotency-key", "once")])
    assert (first.status, first.json()) == (201, {"accepted": 1, "repeated": False})
    assert (again.status, again.json()) == (201, {"accepted": 0, "repeated": True})
    (stored,) = shop.store.events_of("new")
    assert stored.time == 1_769_857_200 * 10**9
    other = {"user_id": "new", "item_id": "zebra"}
    check_problem(
        shop.call("POST", "/v1/events", content=other, headers=[("idempotency-key", "once")]),
        422,
        "idempotency-key-reused",
    )
    several = {"events": [{**other, "timestamp": 1.5}, {"user_id": "user 1", "item_id": "日本", "timestamp": 0}]}
    assert shop.call("POST", "/v1/events", content=several).json() == {"accepted": 2, "repeated": False}
    assert [event.time for event in shop.store.events_of("new")][1] == 1_500_000_000
    user = shop.call("GET", "/v1/users/new").json()
    assert (user["user_id"], user["new_events"]) == ("new", 2)
    assert [item["item_id"] for item in user["history"]] == ["apple", "zebra"]


def test_events_of_unknown_items_are_refused_by_name_and_none_is_stored(shop: Shop) -> None:
    events = [{"user_id": "new", "item_id": item} for item in ("apple", "nowhere", "nothing")]
    problem = check_problem(shop.call("POST", "/v1/events", content={"events": events}), 422, "unknown-items")
    assert problem["items"] == ["nowhere", "nothing"]
    assert shop.store.events_of("new") == []


def test_users_are_listed_shown_and_erased(shop: Shop) -> None:
    assert shop.call("GET", "/v1/users?prefix=user+&limit=3").json() == {"users": ["user 0", "user 1", "user 2"]}
    assert shop.call("GET", "/v1/users").json()["users"] == sorted(USERS, key=str.encode)
    shown = shop.call("GET", "/v1/users/user%204").json()
    assert [item["item_id"] for item in shown["history"]] == [CATALOGUE[item] for item in history_of(4)]
    assert shown["history"][0].keys() == {"item_id", "title"}
    assert shop.call("DELETE", "/v1/users/user%204").json() == {"user_id": "user 4", "erased": True, "events": 0}
    assert shop.call("DELETE", "/v1/users/nobody").json()["erased"]
    check_problem(shop.call("GET", "/v1/users/user%204"), 404, "unknown-user")
    assert "user 4" not in shop.call("GET", "/v1/users").json()["users"]


def test_reasons_of_a_user_and_of_a_history(shop: Shop) -> None:
    of_user = shop.call("GET", "/v1/users/user%203/reasons?item=apple&item=zebra&wish=fruit").json()["reasons"]
    assert [reason["item_id"] for reason in of_user] == ["apple", "zebra"]
    asked = {"history": ["日本"], "items": ["apple"]}
    (reason,) = shop.call("POST", "/v1/reasons", content=asked).json()["reasons"]
    assert reason["history"] == [{"item_id": "日本", "title": "日本の本", "contribution": 0.25}]
    assert reason["prefix"]["item_id"] == "日本"
    check_problem(shop.call("GET", "/v1/users/user%203/reasons?item=nowhere"), 422, "unknown-items")
    check_problem(shop.call("GET", "/v1/users/nobody/reasons?item=apple"), 404, "unknown-user")
    shop.live.broken = down()
    check_problem(shop.call("GET", "/v1/users/user%203/reasons?item=apple"), 503, "live-unavailable")


def test_items_are_found_shown_changed_and_taken_out(shop: Shop) -> None:
    assert "Äpfel" in ids(shop.call("GET", "/v1/items?query=%C3%84pfel&limit=2").json())
    zebra = shop.call("GET", "/v1/items/zebra").json()
    assert zebra == {
        "item_id": "zebra",
        "title": "Zebra",
        "brand": "Zoo",
        "categories": ["Animals", "Stripes"],
        "codes": [0, 1, 2, 3],
        "available": True,
        "recommendable": True,
    }
    similar = shop.call("GET", "/v1/items/zebra/similar?k=1").json()
    assert ids(similar) == ["Äpfel"]
    assert similar["versions"] == {"snapshot": shop.snapshot.fingerprint, "model": None, "variant": "main"}
    assert similar["took_ms"] >= 0
    said = {"available": False, "title": "Old zebra", "categories": ["Stripes"]}
    assert shop.call("PUT", "/v1/items/zebra", content=said).json() == zebra | said | {"recommendable": False}
    new = shop.call("PUT", "/v1/items/new%2Fone", content={"title": "New"}).json()
    assert (new["item_id"], new["title"], new["codes"], new["recommendable"]) == ("new/one", "New", None, False)
    assert shop.call("DELETE", "/v1/items/zebra").json() == {"item_id": "zebra", "deleted": True}
    for path in ("/v1/items/zebra", "/v1/items/zebra/similar", "/v1/items/nowhere"):
        check_problem(shop.call("GET", path), 404, "unknown-item")
    check_problem(shop.call("DELETE", "/v1/items/nowhere"), 404, "unknown-item")


def test_words_of_an_item_say_nothing_of_its_stock(shop: Shop) -> None:
    def put(**said: Any) -> bool:
        told: dict[str, Any] = shop.call("PUT", "/v1/items/zebra", content=said).json()
        return bool(told["available"])

    assert not put(available=False)
    assert not put(title="Old zebra")
    assert not put(brand="Zoo", available=None)
    assert put(available=True)
    assert not put(available=False)
    shop.call("DELETE", "/v1/items/zebra")
    assert put(title="Zebra again")


def test_an_item_s_id_with_a_comma_is_one_item_to_leave_out(shop: Shop) -> None:
    shop.call("PUT", "/v1/items/a,b", content={})
    shop.call("GET", recommendations("user 3", "?k=1&exclude=a,b&brand=x"))
    assert shop.live.asked
    check_problem(shop.call("GET", recommendations("user 3", "?exclude=a,,b")), 422, "invalid-id")


def test_the_status_says_what_is_served_and_what_the_gateway_adds(shop: Shop) -> None:
    shop.extras |= {"ingress": "haproxy", "refused": {"reason": "damaged"}, "events": {"store": "sqlite"}}
    status = shop.call("GET", "/v1/status").json()
    assert (status["users"], status["items"], status["k"]) == (len(USERS), len(CATALOGUE), 3)
    assert status["versions"]["snapshot"] == shop.snapshot.fingerprint
    assert status["live"]["up"]
    assert (status["served"], status["ingress"], status["refused"]) == (True, "haproxy", {"reason": "damaged"})
    assert status["events"] == {"position": 0, "error": None, "store": "sqlite"}
    shop.live.broken = down()
    assert not shop.call("GET", "/v1/status").json()["live"]["up"]


def test_until_something_is_served_only_the_process_says_that_it_is_there(tmp_path: Path) -> None:
    shop = open_shop(tmp_path, serving=False)
    assert shop.call("GET", "/healthz").json() == {"status": "ok"}
    assert shop.call("GET", "/v1/status").json() == {"served": False}
    for path in ("/readyz", recommendations("user 3"), "/v1/items?query=a", "/docs"):
        check_problem(shop.call("GET", path), 503, "not-ready")
    check_problem(shop.call("POST", "/v1/events", content={"user_id": "a", "item_id": "b"}), 503, "not-ready")


def test_a_store_that_does_not_accept_is_a_503_and_reading_goes_on(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise StoreError("The disk is full", "Free space")

    for write in ("add_events", "put_item", "erase"):
        monkeypatch.setattr(shop.store, write, full)
    for method, path, content in [
        ("POST", "/v1/events", {"user_id": "a", "item_id": "apple"}),
        ("PUT", "/v1/items/apple", {}),
        ("DELETE", "/v1/items/apple", None),
        ("DELETE", "/v1/users/user%203", None),
    ]:
        check_problem(shop.call(method, path, content=content), 503, "store-unavailable")
    assert shop.call("GET", recommendations("user 3")).json()["source"] == "cache"


def test_what_nobody_foresaw_is_a_500_that_tells_nothing_and_a_line_in_the_log(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("user 3 has a secret")

    monkeypatch.setattr(shop.service, "user", broken)
    reply = shop.call("GET", "/v1/users/user%203", headers=[("x-request-id", "trace-1")])
    check_problem(reply, 500, "internal-error")
    assert reply.header("x-request-id") == "trace-1"
    assert b"secret" not in reply.body
    lines = [json.loads(line) for line in shop.logged.getvalue().splitlines()]
    assert {line["id"] for line in lines} == {"trace-1"}
    assert lines[0]["error"] == "RuntimeError"
    assert "secret" not in shop.logged.getvalue()
    assert "user 3" not in shop.logged.getvalue()


def test_requests_are_counted_by_their_route_and_rung(shop: Shop) -> None:
    shop.call("GET", recommendations("user 3"))
    shop.call("HEAD", recommendations("user 3"))
    shop.live.broken = down()
    shop.call("POST", "/v1/recommendations", content={"history": []})
    shop.call("GET", "/nowhere")
    counted = {tags: count for (name, tags), count in shop.metrics.totals().items() if name == "semconv_requests"}
    assert counted == {
        ("/v1/users/{user_id}/recommendations", "cache", "200"): 2,
        ("/v1/recommendations", "popular", "200"): 1,
        ("none", "", "404"): 1,
    }


def test_a_mounted_api_answers_below_its_mount(tmp_path: Path) -> None:
    shop = open_shop(tmp_path, root_path="/shop")
    assert shop.call("GET", recommendations("a/b ü")).json()["source"] == "cache"
    assert shop.call("GET", "/healthz").status == 200


def test_limits_are_those_of_the_settings(shop: Shop) -> None:
    assert LIMITS.max_history == 5
    assert shop.call("POST", "/v1/recommendations", content={"history": ["zebra"] * 5}).status == 200
    problem = check_problem(
        shop.call("POST", "/v1/recommendations", content={"history": ["zebra"] * 6}), 422, "invalid-request"
    )
    assert problem["errors"][0]["at"] == "history"

"""The service: what is served and swapped, who sees which variant, what is written, and what it says of itself."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from semconv.config.serve import VariantSettings
from serve.questions import Accepted, Answer, Event, LiveError, Wanted
from serve.service import Service
from serve.shelf import UnknownItemsError
from serve.store import KeyReusedError
from tests.unit.serve.bakery import LISTS, Shop, bake, indices, open_shop, serve


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return open_shop(tmp_path, bake(tmp_path / "run"))


def variant(folder: Path, name: str, share: float = 0.0, **baked: Any) -> VariantSettings:
    return bake(folder, name=name, **baked).model_copy(update={"name": name, "share": share})


def add(shop: Shop, *events: Event, key: str | None = None) -> Accepted:
    return asyncio.run(shop.service.add_events(list(events), key))


def test_nothing_is_served_before_a_swap(shop: Shop) -> None:
    assert Service(shop.state, shop.oven, shop.settings).served is None


def test_a_swap_is_seen_by_the_next_request_and_not_by_those_under_way(shop: Shop, tmp_path: Path) -> None:
    before = shop.service.served
    assert before is not None
    epoch, started, go_on = shop.service.epoch, threading.Event(), threading.Event()
    turned = {user: listed[::-1] for user, listed in LISTS.items()}
    after = serve(shop, bake(tmp_path / "run", name="after", lists=turned))

    async def swap_meanwhile() -> tuple[Answer, Answer | None]:
        rank = shop.oven.rank

        async def slowly(question: Any) -> Any:
            started.set()
            await asyncio.to_thread(go_on.wait)
            return await rank(question)

        shop.oven.rank = slowly  # type: ignore[method-assign]
        under_way = asyncio.ensure_future(shop.service.for_history(["rye"], Wanted(1)))
        await asyncio.to_thread(started.wait)
        await shop.service.swap(after)
        go_on.set()
        return await under_way, shop.service.cached("ann", Wanted(1))

    old, new = asyncio.run(swap_meanwhile())
    assert old.versions["snapshot"] == before.main.snapshot.fingerprint
    assert new is not None
    assert (new.versions["snapshot"], new.items[0]["item_id"]) == (after.main.snapshot.fingerprint, "cake")
    assert shop.service.epoch != epoch


def test_a_request_under_way_keeps_the_event_that_the_next_snapshot_holds(shop: Shop, tmp_path: Path) -> None:
    before = shop.service.served
    assert before is not None
    add(shop, Event("ann", "oat", 0))
    exported = {"store": shop.state.store.id, "seq": 1}
    after = serve(shop, bake(tmp_path / "run", name="after", events=exported))

    async def swap_meanwhile() -> Answer | None:
        rank = shop.oven.rank

        async def slowly(question: Any) -> Any:
            await shop.service.swap(after)
            return await rank(question)

        shop.oven.rank = slowly  # type: ignore[method-assign]
        return await shop.service.for_user("ann", Wanted(3))

    answer = asyncio.run(swap_meanwhile())
    assert answer is not None
    assert (answer.rung, answer.versions["snapshot"]) == ("live", before.main.snapshot.fingerprint)
    assert "oat" not in [item["item_id"] for item in answer.items]


def test_who_is_erased_during_a_swap_is_answered_anew_from_the_next_snapshot(shop: Shop, tmp_path: Path) -> None:
    add(shop, Event("ann", "oat", 0))
    after = serve(shop, bake(tmp_path / "run", name="after", events={"store": shop.state.store.id, "seq": 2}))

    async def erase_and_swap_meanwhile() -> Answer | None:
        rank = shop.oven.rank

        async def slowly(question: Any) -> Any:
            shop.oven.rank = rank  # type: ignore[method-assign]
            await shop.service.erase("ann")
            await shop.service.swap(after)
            return await rank(question)

        shop.oven.rank = slowly  # type: ignore[method-assign]
        return await shop.service.for_user("ann", Wanted(3))

    answer = asyncio.run(erase_and_swap_meanwhile())
    assert answer is not None
    assert answer.versions["snapshot"] == after.main.snapshot.fingerprint


def test_events_are_counted_once_whatever_is_swapped_in_and_back(shop: Shop, tmp_path: Path) -> None:
    for item in ("bun", "pie"):
        add(shop, Event("ann", item, 0))
    exported = {"store": shop.state.store.id, "seq": 1}
    first, later = shop.service.served, serve(shop, bake(tmp_path / "run", name="later", events=exported))
    assert first is not None
    for served, new in ((later, 1), (first, 2), (later, 1)):
        asyncio.run(shop.service.swap(served))
        user = shop.service.user("ann")
        assert user is not None
        assert user["new_events"] == new


def test_variants_answer_from_their_own_snapshot_and_catalogue(tmp_path: Path) -> None:
    main = bake(tmp_path / "run")
    half = variant(tmp_path / "run", "half", 0.5, lists={**LISTS, "ann": ["cake"], "bob": ["cake"], "cy": ["cake"]})
    shop = open_shop(tmp_path, main, half)
    served = shop.service.served
    assert served is not None
    seen = set()
    for user in LISTS:
        answer = shop.service.cached(user, Wanted(1))
        assert answer is not None
        chosen = served.of(user)
        seen.add(chosen.variant)
        assert answer.versions == chosen.versions(chosen.model)
        assert (answer.items[:1] == [{"item_id": "cake", "title": "Cherry cake", "score": 0.0}]) == (
            chosen.variant == "half"
        )
    assert seen == {"main", "half"}
    answer = asyncio.run(shop.service.for_history(["rye"], Wanted(1)))
    assert answer.versions["variant"] == "main"


def test_events_are_stored_once_and_unknown_items_are_refused_by_name(shop: Shop) -> None:
    assert add(shop, Event("ann", "bun", 5), Event("zoe", "pie", 6), key="one") == Accepted(2, False, 2)
    assert add(shop, Event("ann", "bun", 5), Event("zoe", "pie", 6), key="one").repeated
    with pytest.raises(KeyReusedError):
        add(shop, Event("ann", "pie", 5), key="one")
    with pytest.raises(UnknownItemsError) as refused:
        add(shop, Event("ann", "brick", 5), Event("ann", "bun", 5), Event("ann", "brick", 5), Event("ann", "stone", 5))
    assert refused.value.items == ["brick", "stone"]
    user = shop.service.user("ann")
    assert user is not None
    assert user["history"] == [{"item_id": "rye", "title": "Dark rye"}, {"item_id": "bun", "title": "Sweet bun"}]
    assert shop.service.user("zoe") == {
        "user_id": "zoe",
        "history": [{"item_id": "pie", "title": "Apple pie"}],
        "new_events": 1,
    }


def test_late_events_of_an_item_that_was_taken_out_are_stored(shop: Shop) -> None:
    assert asyncio.run(shop.service.delete_item("bun"))
    assert not asyncio.run(shop.service.delete_item("bun"))
    assert not asyncio.run(shop.service.delete_item("brick"))
    assert add(shop, Event("ann", "bun", 5)).stored == 1


def test_users_are_listed_by_prefix(shop: Shop) -> None:
    assert shop.service.users("", 2) == ["ann", "bob"]
    assert shop.service.users("b", 9) == ["bob"]
    assert shop.service.users("x", 9) == []


def test_reasons_name_items_and_refuse_those_that_nobody_knows(shop: Shop) -> None:
    (reason,) = asyncio.run(shop.service.reasons_for_user("ann", ["pie"])) or []
    assert reason == {
        "item_id": "pie",
        "title": "Apple pie",
        "score": 1.5,
        "sources": [],
        "history": [{"item_id": "rye", "title": "Dark rye", "contribution": 0.5}],
        "prefix": {"item_id": "rye", "title": "Dark rye", "codes": (1,)},
        "wish": None,
    }
    assert asyncio.run(shop.service.reasons_for_user("nobody", ["pie"])) is None
    (told,) = asyncio.run(shop.service.reasons_for_history(["oat", "brick"], ["pie"], "sweet"))
    assert [one["item_id"] for one in told["history"]] == ["oat"]
    assert (shop.oven.asked[-1].history, shop.oven.asked[-1].wish) == (tuple(indices(["oat"])), "sweet")
    with pytest.raises(UnknownItemsError, match="brick"):
        asyncio.run(shop.service.reasons_for_history([], ["pie", "brick"]))
    shop.oven.failure = LiveError("down")
    with pytest.raises(LiveError):
        asyncio.run(shop.service.reasons_for_history([], ["pie"]))


def test_the_status_says_what_is_served_and_whether_the_model_is_there(shop: Shop) -> None:
    served = shop.service.served
    assert served is not None
    snapshot = served.main.snapshot
    status = asyncio.run(shop.service.status())
    assert status["versions"] == {"snapshot": snapshot.fingerprint, **snapshot.manifest.lineage}
    assert (status["users"], status["items"], status["k"]) == (3, 8, 3)
    assert status["live"] == {"up": True, "waiting": 0, "pace_s": None, "model": shop.oven.models}
    assert status["events"] == {"position": 0, "error": None}
    shop.oven.failure = LiveError("down")
    live = asyncio.run(shop.service.status())["live"]
    assert (live["up"], live["reason"]) == (False, "down")

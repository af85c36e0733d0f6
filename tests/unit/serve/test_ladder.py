"""The ladder: which rung answers, that each keeps to what was asked, and that every user's state is their own."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from serve.questions import Answer, Event, ItemChange, LiveError, Wanted
from serve.service import Service
from serve.store import StoreError
from tests.unit.serve.bakery import IDS, K, Shop, bake, indices, open_shop

ANN = ["oat", "bun", "pie", "tart", "cake"]


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return open_shop(tmp_path, bake(tmp_path / "run"))


def ask(shop: Shop, user_id: str, k: int = K, **wanted: Any) -> tuple[str, list[str]] | None:
    answer = asyncio.run(shop.service.for_user(user_id, Wanted(k, **wanted)))
    return None if answer is None else seen(answer)


def after(shop: Shop, *history: str, k: int = K, **wanted: Any) -> tuple[str, list[str]]:
    return seen(asyncio.run(shop.service.for_history(history, Wanted(k, **wanted))))


def seen(answer: Answer) -> tuple[str, list[str]]:
    return answer.rung, [item["item_id"] for item in answer.items]


def bought(shop: Shop, user_id: str, *items: str) -> None:
    asyncio.run(shop.service.add_events([Event(user_id, item, 0) for item in items]))


def changed(shop: Shop, item_id: str, **change: Any) -> dict[str, Any]:
    return asyncio.run(shop.service.put_item(ItemChange(item_id, **change)))


def test_a_known_user_is_answered_from_the_snapshot_at_once(shop: Shop) -> None:
    answer = shop.service.cached("ann", Wanted(2))
    assert answer is not None
    assert answer.items == [
        {"item_id": "oat", "title": "Oat loaf", "score": 0.0},
        {"item_id": "bun", "title": "Sweet bun", "score": -1.0},
    ]
    assert answer.versions["variant"] == "main"
    assert None not in answer.versions.values()
    assert ask(shop, "bob") == ("cache", ["rye", "roll"])  # all that could be ranked
    assert ask(shop, "cy") == ("cache", [])
    assert not shop.oven.asked


def test_nobody_knows_a_user_without_a_row_and_without_an_event(shop: Shop) -> None:
    assert shop.service.cached("dora", Wanted(2)) is None
    assert ask(shop, "dora") is None
    bought(shop, "dora", "rye")
    assert ask(shop, "dora") == ("live", ["cake", "tart", "pie"])


def test_an_event_joins_the_history_and_its_live_list_is_cached_for_every_replica(shop: Shop, tmp_path: Path) -> None:
    other = open_shop(tmp_path, bake(tmp_path / "run", name="again"))
    bought(shop, "ann", "cake", "pie")
    assert not shop.service.untouched("ann")
    assert ask(shop, "ann") == ("live", ["tart", "roll", "bun"])
    (question,) = shop.oven.asked
    assert question.history == tuple(indices(["rye", "cake", "pie"]))
    assert ask(shop, "ann") == ("cache", ["tart", "roll", "bun"])
    assert ask(other, "ann", 2) == ("cache", ["tart", "roll"])
    assert ask(other, "ann", exclude=frozenset({"roll"})) == ("cache", ["tart", "bun", "spelt"])
    assert (len(shop.oven.asked), len(other.oven.asked)) == (1, 0)
    bought(other, "ann", "tart")
    assert ask(shop, "ann") == ("live", ["roll", "bun", "spelt"])


def test_events_that_the_snapshot_holds_already_count_once(shop: Shop, tmp_path: Path) -> None:
    bought(shop, "ann", "rye")
    bought(shop, "bob", "pie")
    exported = {"store": shop.state.store.id, "seq": 1}
    later = open_shop(tmp_path, bake(tmp_path / "run", name="later", events=exported))
    assert later.service.cached("ann", Wanted(1)) is not None
    assert later.service.user("bob") == {
        "user_id": "bob",
        "history": [
            {"item_id": "oat", "title": "Oat loaf"},
            {"item_id": "pie", "title": "Apple pie"},
            {"item_id": "pie", "title": "Apple pie"},
        ],
        "new_events": 1,
    }


def test_an_erased_user_is_unknown_until_something_new_happens(shop: Shop) -> None:
    bought(shop, "ann", "cake")
    assert ask(shop, "ann") is not None
    assert asyncio.run(shop.service.erase("ann")) == 1
    assert shop.service.cached("ann", Wanted(2)) is None
    assert ask(shop, "ann") is None
    assert shop.service.user("ann") is None
    assert shop.service.users("", 9) == ["bob", "cy"]
    bought(shop, "ann", "tart")
    assert ask(shop, "ann") == ("live", ["cake", "pie", "roll"])
    assert shop.oven.asked[-1].history == tuple(indices(["tart"]))


def test_who_is_erased_while_the_model_thinks_does_not_get_the_old_list(shop: Shop) -> None:
    bought(shop, "ann", "cake")

    async def erased_meanwhile() -> Answer | None:
        rank = shop.oven.rank

        async def slowly(question: Any) -> Any:
            await shop.service.erase("ann")
            return await rank(question)

        shop.oven.rank = slowly  # type: ignore[method-assign]
        return await shop.service.for_user("ann", Wanted(2))

    assert asyncio.run(erased_meanwhile()) is None
    assert ask(shop, "ann") is None


def test_cached_lists_leave_out_what_is_gone_and_short_ones_are_live(shop: Shop) -> None:
    changed(shop, "oat", available=False)
    asyncio.run(shop.service.delete_item("bun"))
    assert ask(shop, "ann") == ("cache", ["pie", "tart", "cake"])
    changed(shop, "cake", available=False)
    assert ask(shop, "ann") == ("live", ["tart", "pie", "roll"])
    assert set(shop.oven.asked[-1].exclude) == set(indices(["oat", "bun", "cake"]))
    assert ask(shop, "ann") == ("cache", ["tart", "pie", "roll"])
    changed(shop, "cake", title="Plum cake", available=True)
    assert shop.service.cached("ann", Wanted(3)) is not None
    assert ask(shop, "ann", exclude=frozenset({"pie", "tart"}), k=1) == ("cache", ["cake"])


def test_a_change_of_an_item_changes_the_epoch_and_an_event_does_not(shop: Shop) -> None:
    before = shop.service.epoch
    bought(shop, "bob", "cake")
    assert shop.service.untouched("ann")
    assert shop.service.epoch == before
    changed(shop, "oat", title="Oats")
    assert shop.service.untouched("ann")
    assert shop.service.epoch != before
    assert ask(shop, "ann", 1) == ("cache", ["oat"])
    answer = shop.service.cached("ann", Wanted(1))
    assert answer is not None
    assert answer.items[0]["title"] == "Oats"


@pytest.mark.parametrize("broken", ["live", "down"])
@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"category": "bread"}, ["roll", "spelt", "oat"]),
        ({"brand": "SUGAR"}, ["pie"]),
        ({"brand": "sugar & co."}, ["tart"]),
        ({"category": "sweet", "brand": "Oven"}, ["roll", "bun"]),
        ({"category": "sweet", "exclude": frozenset({"roll", "nothing"})}, ["tart", "pie", "bun"]),
        ({"category": "?"}, []),
        ({"brand": "nobody"}, []),
    ],
)
def test_filters_hold_on_every_rung(shop: Shop, wanted: dict[str, Any], expected: list[str], broken: str) -> None:
    if broken == "down":
        shop.oven.failure = LiveError("down")
    rung, found = after(shop, "rye", **wanted)
    assert sorted(found) == sorted(expected)
    assert (rung == "live") == (broken == "live")


def test_filters_follow_what_the_shop_says_now(shop: Shop) -> None:
    changed(shop, "cake", categories=("Bread",), brand="Mill")
    changed(shop, "oat", brand="Oven")
    for failure in (None, LiveError("down")):
        shop.oven.failure = failure
        assert sorted(after(shop, "rye", brand="mill", k=8)[1]) == ["cake", "spelt"]
        assert sorted(after(shop, "rye", category="bread", brand="oven", k=8)[1]) == ["oat", "roll"]
    assert ask(shop, "ann", 1, brand="mill") == ("cache", ["cake"])


def test_without_the_model_neighbours_answer_and_popular_items_fill_up(shop: Shop) -> None:
    shop.oven.failure = LiveError("down")
    assert after(shop, "rye", "pie") == ("collaborative", ["tart", "oat", "cake"])
    answer = asyncio.run(shop.service.for_history(["rye", "nothing", "pie"], Wanted(K)))
    assert [item["score"] for item in answer.items] == [1.0, 0.7, 0.5]
    assert (answer.source, answer.ignored, answer.versions["model"]) == ("fallback", 1, None)
    assert after(shop, "tart", k=8) == ("collaborative", ["pie", "rye", "oat"])  # no more than the snapshot's k
    assert after(shop, "bun") == ("popular", ["rye", "oat", "spelt"])
    assert asyncio.run(shop.service.for_history(["bun"], Wanted(1))).items[0]["score"] == 9.0


def test_popular_items_that_the_snapshot_does_not_list_as_such_fill_up_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("semconv.artifacts.topk_catalogue.POPULAR", 2)
    shop = open_shop(tmp_path, bake(tmp_path / "run"))
    shop.oven.failure = LiveError("down")
    assert after(shop, "bun", k=2) == ("popular", ["rye", "oat"])
    assert after(shop, "bun") == ("popular", ["rye", "oat", "spelt"])
    assert after(shop, "tart", category="sweet") == ("collaborative", ["pie", "bun", "roll"])


def test_the_shops_own_rules_hold_without_the_model(tmp_path: Path) -> None:
    shop = open_shop(tmp_path, bake(tmp_path / "run", blocked=["rye"], per_category=1))
    shop.oven.failure = LiveError("down")
    assert after(shop, "bun") == ("popular", ["oat", "spelt", "pie"])
    changed(shop, "spelt", available=False)
    assert after(shop, "bun") == ("popular", ["oat", "roll", "pie"])


def test_a_wish_reaches_the_model_and_without_it_matching_items_come_first(shop: Shop) -> None:
    assert ask(shop, "ann", wish="something sweet")[0] == "live"  # type: ignore[index]
    assert shop.oven.asked[-1].wish == "something sweet"
    assert ask(shop, "ann", wish=" ?!") == ("cache", ANN[:3])
    shop.oven.failure = LiveError("no wishes")
    assert after(shop, "rye", wish="lemon tart", k=2) == ("collaborative", ["tart", "oat"])
    assert after(shop, "bun", wish="cherry", k=2) == ("popular", ["cake", "rye"])
    scores = [item["score"] for item in asyncio.run(shop.service.for_history(["bun"], Wanted(3, wish="oven"))).items]
    assert scores == sorted(scores, reverse=True)


def test_a_model_that_is_late_wrong_or_broken_is_not_waited_for_nor_believed(shop: Shop) -> None:
    shop.oven.stuck = True
    assert after(shop, "rye")[0] == "collaborative"
    shop.oven.stuck = False
    shop.oven.models = dict.fromkeys(shop.oven.models, "another model")
    assert after(shop, "rye")[0] == "collaborative"
    shop.oven.failure = RuntimeError("a bug")
    assert after(shop, "bun")[0] == "popular"
    assert shop.service.waiting == 0


def test_a_user_with_events_falls_through_all_rungs_and_nothing_of_that_is_cached(shop: Shop) -> None:
    bought(shop, "ann", "pie")
    shop.oven.failure = LiveError("down")
    assert ask(shop, "ann") == ("collaborative", ["tart", "oat", "cake"])
    assert ask(shop, "ann") == ("collaborative", ["tart", "oat", "cake"])
    shop.oven.failure = None
    assert ask(shop, "ann")[0] == "live"  # type: ignore[index]


def test_items_that_the_snapshot_does_not_know_are_evidence_of_nothing_and_found(shop: Shop) -> None:
    changed(shop, "bagel", title="Sesame bagel", categories=("Bread",))
    bought(shop, "ann", "bagel", "cake")
    ask(shop, "ann")
    assert shop.oven.asked[-1].history == tuple(indices(["rye", "cake"]))
    user = shop.service.user("ann")
    assert user is not None
    assert user["history"][1] == {"item_id": "bagel", "title": "Sesame bagel"}
    assert "bagel" not in after(shop, "rye", category="bread", k=8)[1]
    assert asyncio.run(shop.service.search("sesame bread", 9))[0]["item_id"] == "bagel"


def test_a_deleted_item_stays_evidence(shop: Shop) -> None:
    asyncio.run(shop.service.delete_item("rye"))
    bought(shop, "bob", "rye")
    ask(shop, "bob")
    assert shop.oven.asked[-1].history == tuple(indices(["oat", "pie", "rye"]))
    assert all("rye" not in after(shop, item)[1] for item in IDS)


def test_a_broken_store_costs_freshness_and_no_answer(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: Any) -> Any:
        raise StoreError("locked", "wait")

    bought(shop, "ann", "pie")
    assert ask(shop, "ann") == ("live", ["cake", "tart", "roll"])
    for name in ("position", "get_fresh", "put_fresh"):
        monkeypatch.setattr(shop.state.store, name, fail)
    assert ask(shop, "ann") == ("live", ["cake", "tart", "roll"])
    assert ask(shop, "bob") == ("cache", ["rye", "roll"])


def test_impressions_are_noted_for_users(tmp_path: Path) -> None:
    noted: list[tuple[str, Answer]] = []

    class Log:
        def add(self, user_id: str, answer: Answer) -> None:
            noted.append((user_id, answer))

    shop = open_shop(tmp_path, bake(tmp_path / "run"))
    service = Service(shop.state, shop.oven, shop.settings, Log())  # type: ignore[arg-type]
    asyncio.run(service.swap(shop.service.served))  # type: ignore[arg-type]
    service.cached("ann", Wanted(1))
    asyncio.run(service.for_user("ann", Wanted(1, wish="sweet")))
    asyncio.run(service.for_user("nobody", Wanted(1)))
    assert [(user, answer.rung) for user, answer in noted] == [("ann", "cache"), ("ann", "live")]

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from serve import news
from serve import state as state_module
from serve.questions import ItemChange
from serve.sqlite_store import SQLiteStore
from serve.state import ShopState
from serve.store import EventStore, StoreError
from tests.unit.serve.store_contract import events


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EventStore]:
    opened = SQLiteStore(tmp_path / "events.sqlite")
    yield opened
    opened.close()


@pytest.fixture
def state(store: EventStore) -> ShopState:
    return ShopState(store)


def test_follows_the_log(store: EventStore, state: ShopState) -> None:
    assert (state.position, state.touched("ann"), state.events("ann")) == (0, False, [])
    store.add_events([*events("ann", "a", "b"), *events("bob", "c")])
    assert state.events("ann") == []
    state.refresh()
    assert (state.position, state.events("ann"), state.events("bob")) == (3, ["a", "b"], ["c"])
    assert state.touched("ann")
    assert not state.touched("cid")


def test_reads_what_was_there_before_it(store: EventStore) -> None:
    store.add_events(events("ann", "a"))
    store.put_item(ItemChange("x", available=False))
    store.erase("bob")
    state = ShopState(store)
    assert (state.position, state.events("ann"), state.unavailable) == (3, ["a"], {"x"})
    assert state.erased("bob")


def test_tells_what_is_newer_than_a_snapshot(store: EventStore, state: ShopState) -> None:
    store.add_events(events("ann", "a", "b", "c"))
    store.erase("bob")
    state.refresh()
    assert [state.events("ann", after) for after in (0, 1, 3)] == [["a", "b", "c"], ["b", "c"], []]
    assert [state.touched("ann", after) for after in (2, 3)] == [True, False]
    assert [state.erased("bob", after) for after in (3, 4)] == [True, False]
    assert [state.touched("bob", after) for after in (3, 4)] == [True, False]
    assert state.through((store.id, 3)) == 3
    assert state.through(("another log", 3)) == state.through(None) == 0


def test_keeps_the_order_of_acceptance_when_the_clock_is_set_back(store: EventStore, state: ShopState) -> None:
    store.add_events(events("ann", "late", time=2_000_000))
    state.refresh()
    store.add_events(events("ann", "early", time=1))
    state.refresh()
    assert state.events("ann") == ["late", "early"]


def test_holds_the_last_events_of_a_user(store: EventStore) -> None:
    state = ShopState(store, longest=2)
    store.add_events(events("ann", "a", "b", "c"))
    state.refresh()
    assert state.events("ann") == ["b", "c"]


def test_forgets_an_erased_user_and_knows_them_anew(store: EventStore, state: ShopState) -> None:
    store.add_events([*events("ann", "a"), *events("bob", "b")])
    state.refresh()
    store.erase("ann")
    state.refresh()
    assert (state.events("ann"), state.events("bob")) == ([], ["b"])
    assert state.erased("ann")
    assert not state.erased("bob")
    store.add_events(events("ann", "c"))
    state.refresh()
    assert state.events("ann") == ["c"]
    assert state.erased("ann")
    store.erase("ann")
    state.refresh()
    assert state.events("ann") == []


def test_knows_which_items_are_to_be_had(store: EventStore, state: ShopState) -> None:
    store.put_item(ItemChange("a", available=False))
    store.put_item(ItemChange("b", deleted=True, available=False))
    state.refresh()
    before = state.unavailable
    assert before == {"a", "b"}
    store.put_item(ItemChange("a", available=True, title="Soap"))
    state.refresh()
    assert (state.unavailable, before) == ({"b"}, {"a", "b"})
    assert state.items["a"].title == "Soap"
    same = state.unavailable
    store.put_item(ItemChange("c", title="Bread"))
    state.refresh()
    assert state.unavailable is same


def test_forgets_what_the_snapshots_hold_and_remembers_it_again(store: EventStore, state: ShopState) -> None:
    store.add_events([*events("ann", "a"), *events("bob", "b"), *events("ann", "c")])
    store.put_item(ItemChange("x", available=False))
    store.erase("cid")
    state.refresh()
    state.forget(2)
    assert (state.events("ann"), state.events("bob"), state.position) == (["c"], [], 5)
    assert (state.unavailable, state.erased("cid")) == ({"x"}, True)
    state.forget(4)
    assert (state.events("ann"), state.position) == ([], 5)
    store.add_events(events("ann", "d"))
    state.refresh()
    assert state.events("ann") == ["d"]
    state.forget(0)
    assert (state.events("ann"), state.events("bob")) == (["a", "c", "d"], ["b"])


def test_reads_a_long_log_in_pages(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(news, "PAGE", 3)
    store.add_events(events("ann", *"abcdefg"))
    store.put_item(ItemChange("x", available=False))
    assert ShopState(store).events("ann") == list("abcdefg")
    later = ShopState(store, through=6)
    assert (later.events("ann"), later.unavailable, later.position) == (["g"], {"x"}, 8)


def test_goes_on_with_what_it_knows_when_the_store_is_gone(
    store: EventStore, state: ShopState, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.add_events(events("ann", "a"))
    state.refresh()
    store.add_events(events("ann", "b"))
    asked = []

    def gone(*_: int) -> None:
        asked.append(1)
        raise StoreError("The store is gone", "Bring it back")

    with monkeypatch.context() as patch:
        patch.setattr(store, "changes", gone)
        for _ in range(5):
            state.refresh()
        assert (state.events("ann"), state.error, len(asked)) == (["a"], "The store is gone. Bring it back.", 1)
        with pytest.raises(StoreError):
            state.forget(1)
    monkeypatch.setattr(state_module, "RETRY_S", 0.0)
    state._retry_at = 0.0
    state.refresh()
    assert (state.events("ann"), state.error) == (["a", "b"], None)


def test_may_be_read_and_refreshed_by_many_threads(store: EventStore, state: ShopState) -> None:
    seen: list[list[str]] = []
    done = threading.Event()

    def follow() -> None:
        while not done.is_set():
            state.refresh()
            seen.append(state.events("ann"))

    followers = [threading.Thread(target=follow) for _ in range(3)]
    for follower in followers:
        follower.start()
    for number in range(60):
        store.add_events(events("ann", f"item-{number}"))
        if number % 20 == 7:
            state.forget(number // 20 - 1)
            state.forget(0)
    done.set()
    for follower in followers:
        follower.join()
    state.refresh()
    assert state.events("ann") == [f"item-{number}" for number in range(60)]
    whole = state.events("ann")
    for run in filter(None, seen):  # complete, whatever its beginning was that was forgotten
        begin = whole.index(run[0])
        assert run == whole[begin : begin + len(run)]

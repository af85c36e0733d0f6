"""What every event store promises: the tests that each one's test file inherits."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from semconv.corpus.later import erased_digest
from serve.questions import Accepted, Change, Event, ItemChange
from serve.store import EventStore, KeyReusedError, open_store
from tests.unit.serve.store_process import started

Opener = Callable[[], EventStore]


def events(user_id: str, *items: str, time: int = 1_000) -> list[Event]:
    return [Event(user_id, item, time) for item in items]


def wait_for(store: EventStore, position: int) -> None:
    """News of another process may take a moment to arrive."""
    until = time.monotonic() + 10
    while store.position() < position:
        assert time.monotonic() < until, f"the store is at {store.position()}, not yet at {position}"
        time.sleep(0.002)


class StoreContract:
    """Inherited by one class per store, whose module has the fixture ``where`` with an empty place for one."""

    @pytest.fixture
    def opened(self, where: str) -> Iterator[Opener]:
        stores: list[EventStore] = []

        def opener() -> EventStore:
            stores.append(open_store(where))
            return stores[-1]

        yield opener
        for store in stores:
            store.close()

    @pytest.fixture
    def store(self, opened: Opener) -> EventStore:
        return opened()

    def test_numbers_what_it_accepts(self, store: EventStore) -> None:
        assert (store.position(), store.changes(0)) == (0, [])
        first, second = events("ann", "a", "b")
        assert store.add_events([first, second]) == Accepted(2, False, 2)
        assert store.put_item(ItemChange("a", available=False)) == 3
        assert store.position() == 3
        assert store.changes(0) == [
            Change(1, event=first),
            Change(2, event=second),
            Change(3, item=ItemChange("a", available=False)),
        ]

    def test_reads_the_log_in_pages(self, store: EventStore) -> None:
        store.add_events(events("ann", "a", "b", "c"))
        store.put_item(ItemChange("a"))
        store.add_events(events("ann", "d"))
        assert [change.seq for change in store.changes(1, limit=2)] == [2, 3]
        assert [change.seq for change in store.changes(3, limit=10)] == [4, 5]
        assert [change.seq for change in store.changes(0, limit=10, events_after=3)] == [4, 5]

    def test_survives_being_closed(self, opened: Opener) -> None:
        first = opened()
        first.add_events(events("ann", "a"), key="one")
        first.close()
        again = opened()
        assert (again.id, again.position()) == (first.id, 1)
        assert again.add_events(events("ann", "a"), key="one").repeated

    def test_another_opener_hears_of_news(self, opened: Opener) -> None:
        one, other = opened(), opened()
        for number in range(1, 4):
            one.add_events(events("ann", "a"))
            wait_for(other, number)
        assert other.changes(2) == one.changes(2)

    def test_orders_by_number_when_the_clock_is_set_back(self, store: EventStore) -> None:
        store.add_events(events("ann", "late", time=2_000_000))
        store.add_events(events("ann", "early", time=-5))
        assert [event.item_id for event in store.events_of("ann")] == ["late", "early"]
        assert [change.event.time for change in store.changes(0) if change.event] == [2_000_000, -5]

    def test_stores_nothing_for_a_key_that_came_before(self, store: EventStore) -> None:
        assert store.add_events(events("ann", "a", time=1), key="k") == Accepted(1, False, 1)
        assert store.add_events(events("ann", "a", time=2), key="k") == Accepted(0, True, 1)
        assert store.add_events(events("ann", "a"), key="other") == Accepted(1, False, 2)
        assert store.position() == 2

    @pytest.mark.parametrize("other", [events("ann", "b"), events("bob", "a"), events("ann", "a", "a"), []])
    def test_refuses_a_key_for_other_events(self, store: EventStore, other: list[Event]) -> None:
        store.add_events(events("ann", "a"), key="k")
        with pytest.raises(KeyReusedError, match="idempotency key"):
            store.add_events(other, key="k")
        assert (store.position(), len(store.changes(0))) == (1, 1)

    def test_lays_changes_of_an_item_over_one_another(self, store: EventStore) -> None:
        store.put_item(ItemChange("a", title="Soap", categories=("Bath", "Rose")))
        store.put_item(ItemChange("a", available=False, brand="Dove", categories=()))
        store.put_item(ItemChange("b"))
        store.put_item(ItemChange("a", deleted=True, available=False))
        whole = ItemChange("a", available=False, deleted=True, title="Soap", brand="Dove", categories=())
        assert store.changes(0) == [Change(3, item=ItemChange("b", available=True)), Change(4, item=whole)]

    def test_says_that_an_item_is_to_be_had_only_where_the_shop_does(self, store: EventStore) -> None:
        def there(change: ItemChange) -> bool | None:
            (said,) = store.changes(store.put_item(change) - 1)
            assert said.item is not None
            return None if said.item.deleted else said.item.available

        assert there(ItemChange("a", title="Soap")) is True
        assert there(ItemChange("a", available=False)) is False
        assert there(ItemChange("a", title="Rose soap")) is False
        assert there(ItemChange("a", available=True)) is True
        assert there(ItemChange("a", available=False)) is False
        assert there(ItemChange("a", deleted=True)) is None
        assert there(ItemChange("a", title="Soap again")) is True

    def test_erases_a_user_and_nobody_else(self, store: EventStore) -> None:
        store.add_events([*events("ann", "a"), *events("bob", "b"), *events("ann", "c")], key="k")
        assert store.erase("ann") == 2
        assert store.events_of("ann") == []
        digest = erased_digest(store.id, "ann")
        assert store.changes(0) == [Change(2, event=events("bob", "b")[0]), Change(4, erased=digest)]
        assert store.erase("ann") == 0
        assert store.changes(2) == [Change(5, erased=digest)]

    def test_knows_an_erased_user_anew(self, store: EventStore) -> None:
        store.add_events(events("ann", "a"))
        store.erase("ann")
        store.add_events(events("ann", "b"))
        assert store.events_of("ann") == events("ann", "b")
        assert [change.seq for change in store.changes(0)] == [2, 3]
        assert store.erase("ann") == 1
        assert store.erase("somebody the store has never heard of") == 0

    def test_leaves_no_trace_of_an_erased_user(self, store: EventStore, traces: Callable[[str], int]) -> None:
        erased, kept = "erased-0123456789", "kept-0123456789"
        for user_id in (erased, kept):
            store.add_events(events(user_id, "a", "b"), key=f"key of {user_id}")
            store.put_fresh(user_id, "s", store.position(), b"[]")
        assert traces(kept)
        assert traces(erased)
        store.erase(erased)
        assert traces(kept)
        assert not traces(erased)

    def test_a_list_that_is_shared_too_late_brings_no_erased_user_back(
        self, store: EventStore, traces: Callable[[str], int]
    ) -> None:
        erased, never_there = "erased-0123456789", "never-0123456789"
        store.add_events(events(erased, "a"))
        before = store.position()
        store.erase(erased)
        store.put_fresh(erased, "s", before, b"[]")
        assert store.get_fresh(erased, "s") is None
        store.put_fresh(never_there, "s", store.position(), b"[]")
        assert store.get_fresh(never_there, "s") == b"[]"
        assert (traces(erased), traces(never_there)) == (0, 0)
        store.add_events(events(never_there, "a"))
        assert [event.user_id for event in store.events_of(never_there)] == [never_there]
        assert traces(never_there)

    def test_shares_a_fresh_list(self, opened: Opener) -> None:
        one, other = opened(), opened()
        one.add_events(events("ann", "a"))
        one.put_fresh("ann", "s1", 1, b'{"a": "\xc3\xa9"}')
        assert other.get_fresh("ann", "s1") == b'{"a": "\xc3\xa9"}'
        assert other.get_fresh("ann", "s2") is None
        assert other.get_fresh("bob", "s1") is None
        other.put_fresh("ann", "s2", 1, b"2")
        assert (one.get_fresh("ann", "s1"), one.get_fresh("ann", "s2")) == (None, b"2")

    def test_drops_a_fresh_list_when_it_is_outdated(self, store: EventStore) -> None:
        def fresh_after(outdate: Callable[[], object]) -> tuple[bytes | None, bytes | None]:
            """The list that was there before, and the one that is put too late."""
            before = store.position()
            store.put_fresh("ann", "s", before, b"early")
            assert store.get_fresh("ann", "s") == b"early"
            outdate()
            early = store.get_fresh("ann", "s")
            store.put_fresh("ann", "s", before, b"late")
            return early, store.get_fresh("ann", "s")

        assert fresh_after(lambda: store.add_events(events("ann", "a"))) == (None, None)
        assert fresh_after(lambda: store.put_item(ItemChange("x", available=False))) == (None, None)
        assert fresh_after(lambda: store.erase("ann")) == (None, None)
        assert fresh_after(lambda: store.erase("bob")) == (b"early", b"late")
        assert fresh_after(lambda: store.add_events(events("bob", "a"))) == (b"early", b"late")

    def test_compacts_events_and_keeps_the_rest(self, store: EventStore) -> None:
        store.add_events([*events("ann", "a"), *events("bob", "b")])
        store.put_item(ItemChange("a"))
        store.erase("cid")
        store.put_fresh("ann", "s", store.position(), b"[]")
        store.add_events(events("ann", "c"))
        assert store.compact(4) == 2
        assert [change.seq for change in store.changes(0)] == [3, 4, 5]
        assert (store.events_of("ann"), store.events_of("bob")) == (events("ann", "c"), [])
        assert store.compact(store.position()) == 1
        assert store.get_fresh("ann", "s") is None
        assert (store.position(), store.add_events(events("ann", "d")).seq) == (5, 6)

    @pytest.mark.parametrize("user_id", ["ünï 'quote\"; --", "a\0b", "\ud800", "x" * 5_000, "*", "{semconv}:id"])
    def test_takes_ids_as_they_are(self, store: EventStore, user_id: str) -> None:
        store.add_events([*events(user_id, "a\0'b"), *events("a", "c")], key=user_id)
        assert store.events_of(user_id) == events(user_id, "a\0'b")
        assert store.changes(0)[0].event == Event(user_id, "a\0'b", 1_000)
        assert store.erase(user_id) == 1
        assert len(store.events_of("a")) == 1

    def test_two_processes_write_at_once(self, where: str, store: EventStore) -> None:
        writers = [started(where, name, 40) for name in ("ann", "bob")]
        acknowledged = [int(line) for writer in writers for line in writer.communicate(timeout=60)[0].split()]
        assert sorted(acknowledged) == list(range(1, 81))
        for name in ("ann", "bob"):
            assert [event.item_id for event in store.events_of(name)] == [f"item-{n}" for n in range(40)]
        wait_for(store, 80)

    def test_two_processes_with_the_same_keys_store_once(self, where: str, store: EventStore) -> None:
        writers = [started(where, "ann", 30, "same") for _ in range(2)]
        first, second = [[int(line) for line in writer.communicate(timeout=60)[0].split()] for writer in writers]
        assert first == second == list(range(1, 31))
        assert len(store.events_of("ann")) == 30

    def test_keeps_what_it_acknowledged_to_a_process_that_is_killed(self, where: str, store: EventStore) -> None:
        writer = started(where, "ann", 10_000)
        assert writer.stdout is not None
        acknowledged = [int(writer.stdout.readline()) for _ in range(20)][-1]
        writer.kill()
        acknowledged = max([acknowledged, *map(int, writer.stdout.read().split())])
        writer.wait()
        kept = [event.item_id for event in store.events_of("ann")]
        assert kept == [f"item-{n}" for n in range(len(kept))]
        assert acknowledged <= len(kept) <= acknowledged + 1

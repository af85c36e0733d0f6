from __future__ import annotations

import random
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from serve.sqlite_store import SQLiteStore
from serve.store import EventStore
from tests.unit.serve.store_contract import StoreContract, events


@pytest.fixture
def where(tmp_path: Path) -> str:
    return str(tmp_path / "state" / "events.sqlite")


@pytest.fixture
def traces(where: str) -> Callable[[str], int]:
    def count(text: str) -> int:
        return sum(file.read_bytes().count(text.encode()) for file in Path(where).parent.iterdir())

    return count


class TestSQLiteStore(StoreContract):
    pass


def test_its_files_are_for_the_owner_alone_in_a_folder_that_is_not(where: str) -> None:
    Path(where).parent.mkdir(mode=0o755)
    store = SQLiteStore(Path(where))
    store.add_events(events("ann", "a"))
    assert {stat.S_IMODE(file.stat().st_mode) for file in Path(where).parent.iterdir()} == {0o600}
    store.close()


def test_hears_of_another_connection_at_once(where: str) -> None:
    one, other = SQLiteStore(Path(where)), SQLiteStore(Path(where))
    for number in range(1, 4):
        one.add_events(events("ann", "a"))
        assert other.position() == one.position() == number
    one.close()
    other.close()


def test_hears_of_another_thread_at_once(where: str) -> None:
    store = SQLiteStore(Path(where))
    assert store.position() == 0
    writer = threading.Thread(target=store.add_events, args=(events("ann", "a"),))
    writer.start()
    writer.join()
    assert store.position() == 1
    store.close()


def test_leaves_no_trace_in_pages_that_were_split_and_merged(
    where: str, traces: Callable[[str], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite moves rows between pages without wiping where they were; ids must not be in rows that move."""
    monkeypatch.setattr("serve.sqlite_store.KEPT_FRESH", 50)
    store: EventStore = SQLiteStore(Path(where))
    draw = random.Random(7)
    users = [f"<{draw.getrandbits(64):x}{'-' * draw.randrange(60)}>" for _ in range(600)]
    for _ in range(40):
        chosen = [draw.choice(users) for _ in range(100)]
        store.add_events([event for user_id in chosen for event in events(user_id, f"i{draw.randrange(999)}")])
        store.put_fresh(chosen[0], "s", store.position(), b"x" * draw.randrange(3000))
    gone: list[str] = []
    for _ in range(80):
        gone.append(users.pop(draw.randrange(len(users))))
        store.erase(gone[-1])
        store.add_events([event for user_id in draw.sample(users, 20) for event in events(user_id, "after")])
        assert not traces(gone[-1])
    assert not any(traces(user_id) for user_id in gone)
    assert all(traces(user_id) for user_id in users if store.events_of(user_id))
    store.close()


def test_forgets_the_oldest_keys_and_fresh_lists(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serve.sqlite_store.KEPT_KEYS", 2)
    monkeypatch.setattr("serve.sqlite_store.KEPT_FRESH", 2)
    store = SQLiteStore(Path(where))
    for number in range(3):
        store.add_events(events(f"user-{number}", "a"), key=f"key-{number}")
    for number in range(3):
        store.put_fresh(f"user-{number}", "s", store.position(), b"[]")
    assert [store.get_fresh(f"user-{number}", "s") for number in range(3)] == [None, b"[]", b"[]"]
    assert [store.add_events(events(f"user-{n}", "a"), key=f"key-{n}").repeated for n in (2, 1, 0)] == [
        True,
        True,
        False,
    ]
    store.close()

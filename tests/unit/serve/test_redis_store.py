from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

redis = pytest.importorskip("redis")

from serve.questions import Change, ItemChange  # noqa: E402
from serve.redis_store import RedisStore  # noqa: E402
from serve.state import ShopState  # noqa: E402
from serve.store import StoreError, open_store  # noqa: E402
from tests.unit.serve.redis_server import DURABLE, free_port, running  # noqa: E402
from tests.unit.serve.store_contract import StoreContract, events, wait_for  # noqa: E402


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("redis")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[str]:
    with running(folder, DURABLE) as (url, _):
        yield url


@pytest.fixture
def where(server: str) -> str:
    redis.Redis.from_url(server).flushall()
    return server


@pytest.fixture
def traces(server: str, folder: Path) -> Callable[[str], int]:
    def count(text: str) -> int:
        """How often the text is in the server's files, and in its names and values."""
        client = redis.Redis.from_url(server)
        held = b"".join(name + (client.dump(name) or b"") for name in client.scan_iter())
        written = b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())
        return held.count(text.encode()) + written.count(text.encode())

    return count


class TestRedisStore(StoreContract):
    pass


def test_changes_of_an_item_by_many_at_once_are_all_kept(where: str) -> None:
    stores = [RedisStore(where) for _ in range(3)]
    changes = [ItemChange("a", title="Soap"), ItemChange("a", brand="Dove"), ItemChange("a", categories=("Bath",))]
    writers = [
        threading.Thread(target=store.put_item, args=(change,)) for store, change in zip(stores, changes, strict=True)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    (left,) = stores[0].changes(0)
    assert left.item == ItemChange("a", available=True, title="Soap", brand="Dove", categories=("Bath",))
    for store in stores:
        store.close()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "appendonly yes and appendfsync always"),
        ({"appendonly": "yes"}, "Put appendfsync always into"),
        (DURABLE | {"maxmemory": "100mb", "maxmemory-policy": "allkeys-lru"}, "noeviction"),
        (DURABLE | {"rename-command": 'CONFIG ""'}, "CONFIG GET"),
    ],
)
def test_refuses_a_server_that_may_lose_events(tmp_path: Path, settings: dict[str, str], said: str) -> None:
    with running(tmp_path, settings) as (url, _), pytest.raises(StoreError, match=said):
        open_store(url)


def test_says_where_nobody_answers_and_keeps_the_password_to_itself() -> None:
    with pytest.raises(StoreError, match=r"Redis at 127\.0\.0\.1:\d+ failed") as refused:
        open_store(f"redis://:hunter2@127.0.0.1:{free_port()}/0")
    assert "hunter2" not in str(refused.value)
    with pytest.raises(StoreError, match="no URL"):
        open_store("redis://:hunter2@127.0.0.1:port/0")


def test_goes_on_when_the_server_was_killed_and_is_back(tmp_path: Path) -> None:
    port = free_port()
    with running(tmp_path, DURABLE, port) as (url, process):
        store = open_store(url)
        state = ShopState(store)
        assert store.add_events(events("ann", "a"), key="k").seq == 1
        assert _refreshed(state).events("ann") == ["a"]
        process.kill()
        process.wait()
        with pytest.raises(StoreError):
            store.add_events(events("ann", "b"))
        _until(lambda: _refreshed(state).error is not None)
        assert state.events("ann") == ["a"]
    with running(tmp_path, DURABLE, port):
        _until(lambda: _refreshed(state).error is None)
        assert store.add_events(events("ann", "a"), key="k").repeated
        assert store.add_events(events("ann", "c")).seq == 2
        assert _refreshed(state).events("ann") == ["a", "c"]
        store.close()


def test_a_server_that_hangs_stops_neither_refresh_nor_the_caller_for_long(tmp_path: Path) -> None:
    with running(tmp_path, DURABLE) as (url, process):
        store = open_store(url)
        state = ShopState(store)
        process.send_signal(signal.SIGSTOP)
        began = time.monotonic()
        with pytest.raises(StoreError):
            store.add_events(events("ann", "a"))
        for _ in range(1000):
            state.refresh()
        assert time.monotonic() - began < 10
        process.send_signal(signal.SIGCONT)
        _until(lambda: _refreshed(state).error is None)
        store.close()


def test_what_others_add_is_read_by_no_request(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store, other = RedisStore(where), RedisStore(where)
    state, readers, changes = ShopState(store), set(), store.changes

    def watched(*asked: int) -> list[Change]:
        readers.add(threading.current_thread())
        return changes(*asked)

    monkeypatch.setattr(store, "changes", watched)
    other.add_events(events("ann", "a"))
    other.put_item(ItemChange("x", available=False))
    other.add_events(events("ann", "b"))
    _until(lambda: _refreshed(state).position == 3)
    assert (state.events("ann"), state.unavailable) == (["a", "b"], {"x"})
    assert readers
    assert threading.current_thread() not in readers
    state.forget(1)
    other.erase("ann")
    _until(lambda: _refreshed(state).position == 4)
    assert (state.events("ann"), state.unavailable, state.erased("ann", 3)) == ([], {"x"}, True)
    store.close()
    other.close()


def test_what_was_added_here_is_known_at_once(where: str) -> None:
    store = RedisStore(where)
    state = ShopState(store)
    for number in range(1, 30):
        store.add_events(events("ann", f"item-{number}"))
        assert len(_refreshed(state).events("ann")) == number
    store.put_item(ItemChange("x", available=False))
    assert _refreshed(state).unavailable == {"x"}
    store.erase("ann")
    assert _refreshed(state).events("ann") == []
    store.close()


def test_two_databases_of_a_server_are_two_logs(where: str) -> None:
    one, other = RedisStore(where), RedisStore(where.removesuffix("0") + "1")
    state = ShopState(other)
    one.add_events(events("ann", "a", "b", "c"))
    time.sleep(0.2)  # long enough for the news to arrive, were it heard
    assert (one.position(), other.position(), one.id == other.id) == (3, 0, False)
    other.add_events(events("bob", "d"))
    assert (_refreshed(state).events("bob"), state.events("ann")) == (["d"], [])
    one.close()
    other.close()


def test_a_database_that_was_emptied_is_not_written_to(where: str) -> None:
    store = open_store(where)
    store.add_events(events("ann", "a"))
    redis.Redis.from_url(where).flushall()
    for write in (lambda: store.add_events(events("ann", "b")), lambda: store.put_item(ItemChange("a"))):
        with pytest.raises(StoreError, match="gone"):
            write()
    store.close()
    assert redis.Redis.from_url(where).dbsize() == 0


def test_snapshot_files_forget_too(tmp_path: Path) -> None:
    with running(tmp_path, DURABLE | {"save": "3600 1"}) as (url, _):
        store = open_store(url)
        store.add_events(events("ann-of-the-log", "a"))
        redis.Redis.from_url(url).save()
        assert b"ann-of-the-log" in (tmp_path / "dump.rdb").read_bytes()
        store.erase("ann-of-the-log")
        assert b"ann-of-the-log" not in (tmp_path / "dump.rdb").read_bytes()
        store.close()


def test_closing_ends_the_listening_thread(where: str) -> None:
    store = open_store(where)
    wait_for(store, 0)
    before = threading.active_count()
    store.close()
    assert threading.active_count() == before - 1


def _refreshed(state: ShopState) -> ShopState:
    state.refresh()
    return state


def _until(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.02)

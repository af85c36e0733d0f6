"""What may happen to the SQLite store, and that nothing which was acknowledged is lost by it."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from serve.questions import ItemChange
from serve.sqlite_store import SQLiteStore
from serve.state import ShopState
from serve.store import StoreError, open_store
from tests.conftest import REPOSITORY
from tests.unit.serve.store_contract import events

NORMAL, FULL = 1, 2
"""What SQLite calls its modes of waiting for the disk."""
LOCKER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "events.sqlite"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one mebibyte."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"a small file system cannot be mounted: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_another_process_holds_the_lock(file: Path) -> None:
    store = SQLiteStore(file, busy_s=0.1)
    state = ShopState(store)
    store.add_events(events("ann", "a"))
    with subprocess.Popen([sys.executable, "-c", LOCKER, str(file)], stdin=-1, stdout=-1, text=True) as locker:
        assert locker.stdout is not None
        assert locker.stdout.readline() == "locked\n"
        for write in (
            lambda: store.add_events(events("ann", "b")),
            lambda: store.put_item(ItemChange("a")),
            lambda: store.erase("ann"),
            lambda: store.put_fresh("ann", "s", 1, b"[]"),
        ):
            with pytest.raises(StoreError, match="locked"):
                write()
        state.refresh()
        assert (state.events("ann"), state.error) == (["a"], None)
        started = SQLiteStore(file, busy_s=0.1)
        assert started.position() == 1
        started.close()
        locker.communicate()
    store.add_events(events("ann", "c"))
    state.refresh()
    assert state.events("ann") == ["a", "c"]
    store.close()


def test_an_event_after_a_list_that_could_not_be_kept_waits_for_the_disk(file: Path) -> None:
    """The disk fails while a shared list, which need not last, is undone; the thread's next event has to last."""
    store = SQLiteStore(file)
    failing = Failing(store._file.connection())
    store._file._own.connection = failing  # type: ignore[assignment]
    failing.refused = ("INSERT OR REPLACE INTO fresh", "ROLLBACK")
    with pytest.raises(StoreError):
        store.put_fresh("ann", "s", 0, b"[]")
    assert failing.modes == [NORMAL]
    failing.refused = ()
    store.add_events(events("ann", "a"))
    assert failing.modes == [NORMAL, FULL]
    store.close()


class Failing:
    """A connection that fails at some statements, having done what it was asked to undo; ``modes``: at each begin."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.refused: tuple[str, ...] = ()
        self.modes: list[int] = []
        self._connection = connection

    def execute(self, statement: str, *parameters: Any) -> sqlite3.Cursor:
        if statement.startswith("BEGIN"):
            self.modes += self._connection.execute("PRAGMA synchronous").fetchone()
        if not statement.strip().startswith(self.refused or ("never",)):
            return self._connection.execute(statement, *parameters)
        if statement == "ROLLBACK":
            self._connection.execute(statement)
        raise sqlite3.OperationalError("disk I/O error")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


def test_the_disk_is_full(small_disk: Path) -> None:
    store = SQLiteStore(small_disk / "events.sqlite")
    acknowledged: list[str] = []
    with pytest.raises(StoreError, match=r"full.*Free space"):
        while len(acknowledged) < 100_000:
            batch = [f"item-{len(acknowledged) + n}" for n in range(50)]
            store.add_events(events("ann", *batch), key=batch[0])
            acknowledged += batch
    assert acknowledged
    assert [event.item_id for event in store.events_of("ann")] == acknowledged
    assert store.position() == len(acknowledged)
    store.close()

    subprocess.run(["mount", "-o", "remount,size=4m", str(small_disk)], check=True)
    again = open_store(small_disk / "events.sqlite")
    assert [event.item_id for event in again.events_of("ann")] == acknowledged
    assert again.add_events(events("ann", "after")).seq == len(acknowledged) + 1
    again.close()


def test_exits_right_after_the_acknowledgement(file: Path) -> None:
    """Nothing is flushed and nothing closed on the way out."""
    code = (
        "import os, sys\nfrom serve.store import open_store\nfrom serve.questions import Event\n"
        "store = open_store(sys.argv[1])\nfor n in range(5): store.add_events([Event('ann', f'item-{n}', n)])\n"
        "os._exit(9)\n"
    )
    assert subprocess.run([sys.executable, "-c", code, str(file)], cwd=REPOSITORY, check=False).returncode == 9
    store = open_store(file)
    assert [event.item_id for event in store.events_of("ann")] == [f"item-{n}" for n in range(5)]
    store.close()


@pytest.mark.parametrize("replaced", [False, True])
def test_the_file_goes_away_while_it_is_in_use(file: Path, tmp_path: Path, replaced: bool) -> None:
    store = SQLiteStore(file)
    store.add_events(events("ann", "a"))
    for part in tmp_path.glob("events.sqlite*"):
        part.unlink()
    if replaced:
        SQLiteStore(file).close()
    with pytest.raises(StoreError, match="removed or replaced"):
        store.add_events(events("ann", "b"))
    with ThreadPoolExecutor(1) as pool, pytest.raises(StoreError, match="removed or replaced"):
        pool.submit(store.add_events, events("ann", "b")).result()
    assert file.exists() == replaced
    store.close()


def test_a_file_of_another_program_is_left_alone(file: Path) -> None:
    with sqlite3.connect(file) as other:
        other.execute("CREATE TABLE precious (what TEXT)")
    other.close()
    with pytest.raises(StoreError, match="another program"):
        open_store(file)
    file.write_bytes(b"not a database, but long enough to be looked at " * 100)
    with pytest.raises(StoreError, match="not a database"):
        open_store(file)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"cannot be made.*serve\.state"):
        open_store(tmp_path / "file" / "state" / "events.sqlite")


def test_a_network_filesystem_is_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounts = [
        SimpleNamespace(mountpoint="/", fstype="ext4"),
        SimpleNamespace(mountpoint=str(file.parent), fstype="nfs4"),
    ]
    monkeypatch.setattr(psutil, "disk_partitions", lambda all: mounts)
    with pytest.raises(StoreError, match=r"network filesystem.*local disk"):
        open_store(file)
    assert not file.exists()


def test_erasing_is_not_done_while_somebody_still_reads_what_was_there(file: Path) -> None:
    store = SQLiteStore(file, busy_s=0.1)
    store.add_events(events("ann-of-the-log", "a"))
    reader = sqlite3.connect(file, isolation_level=None)
    reader.execute("BEGIN")
    assert reader.execute("SELECT count(*) FROM events").fetchone() == (1,)
    with pytest.raises(StoreError, match="Ask again"):
        store.erase("ann-of-the-log")
    assert store.events_of("ann-of-the-log") == []
    reader.close()
    assert store.erase("ann-of-the-log") == 0
    assert not any(b"ann-of-the-log" in part.read_bytes() for part in file.parent.iterdir())
    store.close()

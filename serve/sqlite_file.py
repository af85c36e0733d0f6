"""An SQLite file that several threads and processes write to, and that keeps what it has acknowledged.

Write-ahead logging with ``synchronous=FULL``: a commit is on the disk when it returns, and nobody who reads waits for
one who writes. ``secure_delete`` overwrites what is deleted.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from serve.store import StoreError

_NETWORK = ("nfs", "nfs4", "cifs", "smb3", "smbfs", "fuse.sshfs", "ceph", "fuse.glusterfs", "lustre")
_REMEDIES = {
    sqlite3.SQLITE_BUSY: "Another process holds its lock: ask again, and find that process if it lasts",
    sqlite3.SQLITE_FULL: "Free space on its disk",
    sqlite3.SQLITE_READONLY: "Make the file and its folder writable",
    sqlite3.SQLITE_CANTOPEN: "Make the file and its folder readable and writable",
    sqlite3.SQLITE_CORRUPT: "Restore it from a backup",
    sqlite3.SQLITE_NOTADB: "Name another file",
}


class _Own(threading.local):
    connection: sqlite3.Connection | None = None


class SQLiteFile:
    """The file ``path`` with the tables of ``schema``: one connection a thread, every error a `StoreError`."""

    def __init__(self, path: Path, schema: str, application: int, busy_s: float) -> None:
        """Open the file, or make it; ``application`` tells it from other programs' files.

        ``busy_s``: longest wait for another process's lock.
        """
        self.path = path
        self._busy_s = busy_s
        self._own = _Own()
        self._opened: list[sqlite3.Connection] = []
        self._file: tuple[int, int] | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _require_local(path)
            if not path.exists():
                path.touch(0o600)  # SQLite gives its other files the same mode
        except OSError as error:
            raise StoreError(f"{path} cannot be made: {error}", "Set serve.state to another folder") from None
        with self.failing():
            self._prepare(self.connection(), schema, application)
        self._file = self._found()

    def connection(self) -> sqlite3.Connection:
        """This thread's connection; outside a transaction each statement stands for itself."""
        return self._own.connection or self._connect()

    @contextmanager
    def failing(self) -> Iterator[None]:
        """Turns SQLite's errors into `StoreError`s."""
        try:
            yield
        except sqlite3.Error as error:
            raise self.explained(error) from error

    def explained(self, error: sqlite3.Error) -> StoreError:
        """SQLite's error in words, with what to do."""
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        remedy = _REMEDIES.get(code, "Look at its disk and at the system's log, then ask again")
        return StoreError(f"The event store {self.path} failed: {error}", remedy)

    @contextmanager
    def writing(self, durable: bool = True) -> Iterator[sqlite3.Connection]:
        """A transaction that is committed when the block ends, and undone when anything in it raises.

        Not ``durable``: a power cut may take it, unless a durable one followed.
        """
        with self.failing():
            if self._found() != self._file:
                raise self._replaced()
            connection = self.connection()
            connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            try:
                connection.execute("BEGIN IMMEDIATE")
                yield connection
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    def empty_log(self) -> None:
        """Bring the write-ahead log into the file and cut it to nothing, so that no deleted row is left in it."""
        with self.failing():
            busy, _, _ = self.connection().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise StoreError(f"What was deleted is still in {self.path}-wal, for it is being read", "Ask again")

    def close(self) -> None:
        """Close every thread's connection; nobody may be using one."""
        while self._opened:
            self._opened.pop().close()
        self._own = _Own()

    def _connect(self) -> sqlite3.Connection:
        if self._file is not None and self._found() != self._file:
            raise self._replaced()  # to connect would make another file
        connection = sqlite3.connect(self.path, self._busy_s, isolation_level=None, check_same_thread=False)
        self._opened.append(connection)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA secure_delete = ON")
        self._own.connection = connection
        return connection

    def _prepare(self, connection: sqlite3.Connection, schema: str, application: int) -> None:
        """Make the tables where there are none; a file that has them is read only, for it may be locked just now."""
        self._require_wal(connection)
        if _made_by(connection) == application:
            return
        connection.execute("BEGIN IMMEDIATE")
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        if not tables:
            for statement in schema.split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {application}")
        connection.execute("COMMIT")
        if _made_by(connection) != application:
            raise StoreError(f"{self.path} is an SQLite file of another program or version", "Name another file")

    def _require_wal(self, connection: sqlite3.Connection) -> None:
        """Switch to write-ahead logging: refused at once, without a wait, while another process switches."""
        until = time.monotonic() + self._busy_s
        while True:
            try:
                (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
                break
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                    raise
                time.sleep(0.01)
        if mode != "wal":
            raise StoreError(f"{self.path} cannot have a write-ahead log", "Set serve.state to a local disk")

    def _found(self) -> tuple[int, int] | None:
        """What tells the file that is there now from any other."""
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def _replaced(self) -> StoreError:
        return StoreError(
            f"{self.path} was removed or replaced while it was in use", "Put it back and restart the service"
        )


def _made_by(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA application_id").fetchone()[0])


def _require_local(path: Path) -> None:
    """Refuse network filesystems, where processes of two machines do not see each other's locks."""
    mounts = {Path(part.mountpoint): part.fstype for part in psutil.disk_partitions(all=True)}
    mount = next((folder for folder in path.absolute().parents if folder in mounts), None)
    if mount is not None and mounts[mount] in _NETWORK:
        raise StoreError(
            f"{path} is on a network filesystem ({mounts[mount]}), where SQLite loses what it accepts",
            "Set serve.state to a local disk, or serve.events to a Redis server",
        )

"""The event store in one SQLite file, for all processes of one machine."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from semconv.corpus.later import erased_digest
from serve.questions import Accepted, Change, Event, ItemChange
from serve.sqlite_file import SQLiteFile
from serve.store import (
    KEPT_FRESH,
    PAGE,
    events_digest,
    item_from_json,
    item_to_json,
    key_digest,
    key_reused,
    merged,
)

KEPT_KEYS = 1_000_000
"""Idempotency keys that are remembered, at most; those used first go first."""
BUSY_S = 2.0
"""Longest wait for another process's lock."""

_APPLICATION = 0x73656D63
_SCHEMA = """
CREATE TABLE log (id TEXT NOT NULL, seq INTEGER NOT NULL);
CREATE TABLE users (number INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, user_id BLOB NOT NULL);
CREATE TABLE events (seq INTEGER PRIMARY KEY, user INTEGER NOT NULL, item_id TEXT NOT NULL, time INTEGER NOT NULL);
CREATE INDEX events_of ON events (user, seq);
CREATE TABLE items (item_id TEXT PRIMARY KEY, seq INTEGER NOT NULL UNIQUE, change TEXT NOT NULL);
CREATE TABLE erased (digest BLOB PRIMARY KEY, seq INTEGER NOT NULL UNIQUE);
CREATE TABLE keys (number INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, body BLOB NOT NULL, seq INTEGER NOT NULL);
CREATE TABLE fresh (number INTEGER PRIMARY KEY, user INTEGER NOT NULL UNIQUE, snapshot TEXT NOT NULL,
                    position INTEGER NOT NULL, answer BLOB NOT NULL);
INSERT INTO log VALUES (lower(hex(randomblob(16))), 0)
"""
"""Ids of users lie in ``users`` alone, and of those only who have events: zeros lie in the place of others. Its rows
are appended and overwritten by others of their length, and so never moved: of moved rows, as in an index, SQLite leaves
copies in the unused part of a page, ``secure_delete`` or not.
"""
_CHANGES = """
SELECT seq, user_id, item_id, time, NULL, NULL FROM events JOIN users ON number = user WHERE seq > :events_after
UNION ALL SELECT seq, NULL, NULL, NULL, change, NULL FROM items WHERE seq > :after
UNION ALL SELECT seq, NULL, NULL, NULL, NULL, digest FROM erased WHERE seq > :after
ORDER BY seq LIMIT :limit
"""
_UP_TO_DATE = """
    NOT EXISTS (SELECT 1 FROM events WHERE events.user = fresh.user AND events.seq > fresh.position)
AND NOT EXISTS (SELECT 1 FROM items WHERE items.seq > fresh.position)
AND NOT EXISTS (SELECT 1 FROM erased WHERE erased.digest = :digest AND erased.seq > fresh.position)
"""
_PUT_FRESH = f"""
INSERT OR REPLACE INTO fresh (user, snapshot, position, answer)
SELECT * FROM (SELECT :user AS user, :snapshot, :position AS position, :answer) AS fresh WHERE {_UP_TO_DATE}
"""
_GET_FRESH = f"""
SELECT answer FROM users JOIN fresh ON fresh.user = users.number
WHERE users.digest = :digest AND snapshot = :snapshot AND {_UP_TO_DATE}
"""


class _Seen(threading.local):
    """The log's end as a thread last saw it, and SQLite's word for the state it was in."""

    version = -1
    seq = 0


class SQLiteStore:
    """`serve.store.EventStore` in the file ``path``."""

    def __init__(self, path: Path, busy_s: float = BUSY_S) -> None:
        """Open the file, or make it; ``busy_s``: longest wait for another process's lock. Raises `StoreError`."""
        self._file = SQLiteFile(path, _SCHEMA, _APPLICATION, busy_s)
        self._seen = _Seen()
        with self._file.failing():
            (self.id,) = self._file.connection().execute("SELECT id FROM log").fetchone()

    def position(self) -> int:
        """`EventStore.position`: asks SQLite whether anybody else has committed, and reads only then."""
        seen = self._seen
        try:  # every request comes by here: a context manager would cost as much as the question
            connection = self._file.connection()
            (version,) = connection.execute("PRAGMA data_version").fetchone()
            if version != seen.version:
                (seen.seq,) = connection.execute("SELECT seq FROM log").fetchone()
                seen.version = version
        except sqlite3.Error as error:
            raise self._file.explained(error) from error
        return seen.seq

    def announce(self, _heard: Callable[[], None]) -> bool:
        """`EventStore.announce`: never, for everything is read in microseconds."""
        return False

    def changes(self, after: int, limit: int = PAGE, events_after: int = 0) -> list[Change]:
        """`EventStore.changes`."""
        bounds = {"after": after, "events_after": max(after, events_after), "limit": limit}
        with self._file.failing():
            rows = self._file.connection().execute(_CHANGES, bounds).fetchall()
        return [
            Change(seq, event=Event(_text(user), item, time))
            if user is not None
            else Change(seq, item=item_from_json(change) if change is not None else None, erased=digest)
            for seq, user, item, time, change, digest in rows
        ]

    def add_events(self, events: Sequence[Event], key: str | None = None) -> Accepted:
        """`EventStore.add_events`."""
        with self._file.writing() as connection:
            if key is not None:
                name, body = key_digest(self.id, key), events_digest(self.id, events)
                seen = connection.execute("SELECT body, seq FROM keys WHERE key = ?", (name,)).fetchone()
                if seen is not None and seen[0] != body:
                    raise key_reused()
                if seen is not None:
                    return Accepted(0, True, seen[1])
            numbers = {user_id: self._named(connection, user_id) for user_id in {e.user_id for e in events}}
            last = self._count(connection, len(events))
            first = last - len(events) + 1
            rows = [(seq, numbers[e.user_id], e.item_id, e.time) for seq, e in enumerate(events, first)]
            connection.executemany("INSERT INTO events VALUES (?, ?, ?, ?)", rows)
            if key is not None:
                connection.execute("INSERT INTO keys (key, body, seq) VALUES (?, ?, ?)", (name, body, last))
                connection.execute("DELETE FROM keys WHERE number <= last_insert_rowid() - ?", (KEPT_KEYS,))
        return Accepted(len(events), False, last)

    def put_item(self, change: ItemChange) -> int:
        """`EventStore.put_item`."""
        with self._file.writing() as connection:
            row = connection.execute("SELECT change FROM items WHERE item_id = ?", (change.item_id,)).fetchone()
            whole = merged(item_from_json(row[0]) if row else None, change)
            seq = self._count(connection, 1)
            said = (change.item_id, seq, item_to_json(whole))
            connection.execute("INSERT OR REPLACE INTO items VALUES (?, ?, ?)", said)
        return seq

    def erase(self, user_id: str) -> int:
        """`EventStore.erase`."""
        digest = erased_digest(self.id, user_id)
        with self._file.writing() as connection:
            owned = "WHERE user = (SELECT number FROM users WHERE digest = ?)"
            count = connection.execute(f"DELETE FROM events {owned}", (digest,)).rowcount
            connection.execute(f"DELETE FROM fresh {owned}", (digest,))
            connection.execute("UPDATE users SET user_id = zeroblob(length(user_id)) WHERE digest = ?", (digest,))
            tombstone = (digest, self._count(connection, 1))
            connection.execute("INSERT OR REPLACE INTO erased VALUES (?, ?)", tombstone)
        self._file.empty_log()
        return count

    def events_of(self, user_id: str) -> list[Event]:
        """`EventStore.events_of`."""
        query = "SELECT item_id, time FROM events JOIN users ON number = user WHERE digest = ? ORDER BY seq"
        with self._file.failing():
            rows = self._file.connection().execute(query, (erased_digest(self.id, user_id),)).fetchall()
        return [Event(user_id, *row) for row in rows]

    def put_fresh(self, user_id: str, snapshot: str, position: int, answer: bytes) -> None:
        """`EventStore.put_fresh`; a power cut may take it, which spares it the wait for the disk."""
        what = {"snapshot": snapshot, "position": position, "answer": answer}
        with self._file.writing(durable=False) as connection:
            who = {"user": self._number(connection, user_id), "digest": erased_digest(self.id, user_id)}
            if connection.execute(_PUT_FRESH, what | who).rowcount > 0:
                connection.execute("DELETE FROM fresh WHERE number <= last_insert_rowid() - ?", (KEPT_FRESH,))

    def get_fresh(self, user_id: str, snapshot: str) -> bytes | None:
        """`EventStore.get_fresh`."""
        what = {"snapshot": snapshot, "digest": erased_digest(self.id, user_id)}
        with self._file.failing():
            row = self._file.connection().execute(_GET_FRESH, what).fetchone()
        return None if row is None else bytes(row[0])

    def compact(self, through: int) -> int:
        """`EventStore.compact`: writes the file anew, and writers wait meanwhile."""
        with self._file.writing() as connection:
            count = connection.execute("DELETE FROM events WHERE seq <= ?", (through,)).rowcount
            connection.execute("DELETE FROM fresh")  # whether they are outdated, the events said
            connection.execute("DELETE FROM users WHERE number NOT IN (SELECT user FROM events)")
        with self._file.failing():
            self._file.connection().execute("VACUUM")
        self._file.empty_log()
        return count

    def close(self) -> None:
        """`EventStore.close`; nobody may be using the store."""
        self._file.close()

    def _number(self, connection: sqlite3.Connection, user_id: str) -> int:
        """The user's row in ``users``; where it has to be made it does not hold the id yet."""
        digest, length = erased_digest(self.id, user_id), len(_bytes(user_id))
        row = connection.execute("SELECT number FROM users WHERE digest = ?", (digest,)).fetchone()
        if row is not None:
            return int(row[0])
        put = connection.execute("INSERT INTO users (digest, user_id) VALUES (?, zeroblob(?))", (digest, length))
        return int(put.lastrowid or 0)

    def _named(self, connection: sqlite3.Connection, user_id: str) -> int:
        """The user's row in ``users``, with the id."""
        number, name = self._number(connection, user_id), _bytes(user_id)
        connection.execute("UPDATE users SET user_id = ? WHERE number = ? AND user_id <> ?", (name, number, name))
        return number

    def _count(self, connection: sqlite3.Connection, entries: int) -> int:
        """Numbers for so many new entries: the last of them."""
        self._seen.version = -1  # data_version tells of others' commits only
        (last,) = connection.execute("UPDATE log SET seq = seq + ? RETURNING seq", (entries,)).fetchone()
        return int(last)


def _bytes(user_id: str) -> bytes:
    return user_id.encode("utf-8", "surrogatepass")


def _text(user_id: bytes) -> str:
    return user_id.decode("utf-8", "surrogatepass")

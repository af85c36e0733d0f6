"""The event store: what happened in the shop since the snapshot was made, in one numbered log that all replicas follow.

Three kinds of entries: events of users, changes of items, erasures of users. Their order is that of their numbers,
which only grow; times are carried along and order nothing, so that a clock set back reorders nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from semconv.corpus.later import erased_digest
from semconv.errors import InputError, ResourceError
from serve.questions import Accepted, Change, Event, ItemChange

FILE = "events.sqlite"
"""Name of the SQLite store in ``serve.state``."""
PAGE = 10_000
"""Entries that are read from the log at once."""
KEPT_FRESH = 100_000
"""Fresh answers that a store keeps, at most; the ones stored first go first."""


class StoreError(ResourceError):
    """The event store did not do what it was asked: locked, disk full, gone. Nothing was acknowledged."""


class KeyReusedError(InputError):
    """An idempotency key came again with other events than the first time."""


class EventStore(Protocol):
    """What both stores do, for several threads and processes at once. Every method may raise `StoreError`."""

    id: str
    """Names this log for ever: 32 hexadecimal digits, drawn when it was made."""

    def position(self) -> int:
        """Number of the last entry, 0 for an empty log; cheap enough for each request."""
        ...

    def announce(self, heard: Callable[[], None], /) -> bool:
        """Have ``heard`` called whenever there may be news, in other threads and before a method returns that made it.

        False where it never will be: there `changes` is near enough to be asked on the way of a request. ``heard`` may
        raise `StoreError`, and is called again then.
        """
        ...

    def changes(self, after: int, limit: int = PAGE, events_after: int = 0) -> list[Change]:
        """Entries numbered above ``after``, in order, at most ``limit``; without events up to number ``events_after``.

        Of the changes of one item, and of the erasures of one user, the log keeps the last.
        """
        ...

    def add_events(self, events: Sequence[Event], key: str | None = None) -> Accepted:
        """Store all of the events or none; on the disk once this returns.

        With an idempotency ``key`` that was seen before nothing is stored; `KeyReusedError` if users or items are other
        ones (times are not compared, for the service fills in those that a request leaves out).
        """
        ...

    def put_item(self, change: ItemChange) -> int:
        """Store what the shop says of an item, over what it said before; the entry's number, on the disk."""
        ...

    def erase(self, user_id: str) -> int:
        """Remove every trace of the user's id, leave its digest as a tombstone; how many events there were.

        A `StoreError` may mean that traces are left in the store's files: erasing again tries again.
        """
        ...

    def events_of(self, user_id: str) -> list[Event]:
        """The user's events, in order of acceptance."""
        ...

    def put_fresh(self, user_id: str, snapshot: str, position: int, answer: bytes) -> None:
        """Share the user's live list with all replicas.

        ``position``: the entry up to which the log was known when the list was computed. A list that the user's later
        event, a later change of an item or a later erasure of the user has outdated is not kept.
        """
        ...

    def get_fresh(self, user_id: str, snapshot: str) -> bytes | None:
        """The list of `put_fresh` for this snapshot, unless anything has outdated it since."""
        ...

    def compact(self, through: int) -> int:
        """Remove the events up to entry ``through``, and give space back; how many they were."""
        ...

    def close(self) -> None:
        """Let go of files, connections and threads."""
        ...


def open_store(where: str | Path) -> EventStore:
    """The store at ``redis://HOST:PORT/DB`` (also ``rediss://``, ``unix://``), or in the SQLite file of that path.

    A file that does not exist is made. Raises `StoreError` where it cannot be opened or would not keep what it accepts.
    """
    if str(where).startswith(("redis://", "rediss://", "unix://")):
        try:
            from serve.redis_store import RedisStore
        except ModuleNotFoundError as error:
            raise StoreError(f"Redis needs the Python package {error.name}", "Install semconv[redis]") from None
        return RedisStore(str(where))
    from serve.sqlite_store import SQLiteStore

    return SQLiteStore(Path(where))


def key_digest(store_id: str, key: str) -> bytes:
    """What is kept of an idempotency key, which may spell a user's id: hashed as those are."""
    return erased_digest(store_id, key)


def events_digest(store_id: str, events: Sequence[Event]) -> bytes:
    """What an idempotency key is compared by, users and items in order: hashed as ids of users are."""
    return erased_digest(store_id, json.dumps([(e.user_id, e.item_id) for e in events]))


def merged(before: ItemChange | None, change: ItemChange) -> ItemChange:
    """``change`` with what it leaves open taken from ``before``; an item is to be had unless that was denied."""
    before = before or ItemChange(change.item_id)
    left_open = [name for name in ("title", "brand", "categories", "available") if getattr(change, name) is None]
    known = {name: getattr(before, name) for name in left_open}
    if "available" in known:
        known["available"] = before.deleted or before.available is not False
    return replace(change, **known)


def item_to_json(change: ItemChange) -> str:
    """An item's change as the stores keep it."""
    return json.dumps(vars(change))


def item_from_json(text: str | bytes) -> ItemChange:
    """The change that `item_to_json` wrote."""
    found = json.loads(text)
    if found["categories"] is not None:
        found["categories"] = tuple(found["categories"])
    return ItemChange(**found)


def key_reused() -> KeyReusedError:
    """The error of a key that came with other events; the key itself is not repeated."""
    return KeyReusedError(
        "This idempotency key was used for other events", "Send the events of the first time again, or a new key"
    )

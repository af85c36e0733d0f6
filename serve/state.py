"""The shop since the snapshots were made, as one replica knows it: the event store's log, followed."""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping

from semconv.corpus.later import erased_digest
from serve.news import News, Page, pages
from serve.questions import Event, ItemChange
from serve.store import EventStore, StoreError

RETRY_S = 0.5
"""Pause after the store could not be read, so that requests do not wait for it one after another."""


class ShopState:
    """What the log says beyond the snapshots. Reading it never waits; one thread at a time takes in what is new.

    ``error``: why the store cannot be read at present, None when it can; the state then goes on with what it knows.
    """

    def __init__(self, store: EventStore, through: int = 0, longest: int = 1000) -> None:
        """Read the log of ``store``, without the events up to number ``through``; raises `StoreError`.

        ``longest``: events held per user, the last ones.
        """
        self.store = store
        self.error: str | None = None
        self._longest = longest
        self._lock = threading.Lock()
        self._retry_at = 0.0
        self._log = self._read(through)
        self._news = News(store, self._log.position)

    @property
    def position(self) -> int:
        """Number of the last entry that is taken in."""
        return self._log.position

    @property
    def items(self) -> Mapping[str, ItemChange]:
        """What the shop says of items, by id; grows while it is read: iterate over a copy."""
        return self._log.items

    @property
    def items_changed(self) -> int:
        """Number of the last entry that changed an item."""
        return self._log.items_changed

    @property
    def unavailable(self) -> frozenset[str]:
        """Ids deleted or out of stock; another object whenever the set has changed, so that ``is`` tells."""
        return self._log.unavailable

    def refresh(self) -> None:
        """Take in what is new; for each request, a few microseconds when there is nothing. Never raises."""
        if self.error is not None and time.monotonic() < self._retry_at:
            return
        try:
            if self.store.position() > self._log.position:
                with self._lock:
                    self._take(self._log, self._news.since(self._log.position, self._log.through))
            self.error = None
        except StoreError as error:
            self._retry_at = time.monotonic() + RETRY_S
            self.error = str(error)

    def through(self, events: tuple[str, int] | None) -> int:
        """The entry up to which a snapshot holds the log, from its ``events``: 0 unless they are of this store."""
        return events[1] if events is not None and events[0] == self.store.id else 0

    def events(self, user_id: str, after: int = 0) -> list[str]:
        """Ids of items in order of acceptance: the user's events numbered above ``after``."""
        return [item for number, item in list(self._log.events.get(user_id, ())) if number > after]

    def erased(self, user_id: str, after: int = 0) -> bool:
        """Whether the user was erased by an entry numbered above ``after``: a snapshot's row of them is void."""
        erased = self._log.erased
        return bool(erased) and erased.get(erased_digest(self.store.id, user_id), 0) > after

    def touched(self, user_id: str, after: int = 0) -> bool:
        """Whether anything happened to the user above ``after``: an event or an erasure."""
        own = self._log.events.get(user_id)
        return (own is not None and own[-1][0] > after) or self.erased(user_id, after)

    def forget(self, through: int) -> None:
        """Hold the events above ``through`` only, which is what every snapshot that is served holds already.

        Also back again: before a snapshot that holds less of the log is served. Reads the log anew beside what is in
        use; raises `StoreError` where it cannot, and nothing changes.
        """
        if through == self._log.through:
            return
        log = self._read(through)
        while True:
            with self._lock:
                if log.position >= self._log.position:
                    self._log = log
                    return
            self._take(log, pages(self.store, log.position, through))

    def _read(self, through: int) -> _Log:
        log = _Log(through)
        self._take(log, pages(self.store, 0, through))
        return log

    def _take(self, log: _Log, found: Iterable[Page]) -> None:
        for page in found:
            log.take(page, self.store.id, self._longest)


class _Log:
    """The log as tables: events by user, the last erasure by digest, the last change by item."""

    def __init__(self, through: int) -> None:
        self.through = through
        self.position = 0
        self.events: dict[str, deque[tuple[int, str]]] = {}
        self.erased: dict[bytes, int] = {}
        self.items: dict[str, ItemChange] = {}
        self.items_changed = 0
        self.unavailable: frozenset[str] = frozenset()
        self._users: dict[bytes, str] = {}

    def take(self, page: Page, store_id: str, longest: int) -> None:
        """Take in the entries of ``page``, which come in order, but for those that were taken in before."""
        stock: dict[str, bool] = {}
        changes, last = page
        for change in changes:
            if change.seq <= self.position:
                continue
            if change.event is not None:
                self._take_event(change.seq, change.event, store_id, longest)
            elif change.erased is not None:
                self.events.pop(self._users.pop(change.erased, ""), None)
                self.erased[change.erased] = change.seq
            elif change.item is not None:
                self.items[change.item.item_id] = change.item
                self.items_changed = change.seq
                stock[change.item.item_id] = not change.item.deleted and change.item.available is not False
            self.position = change.seq
        self.position = max(self.position, last)
        if any((item_id in self.unavailable) == there for item_id, there in stock.items()):
            gone = {item_id for item_id, there in stock.items() if not there}
            self.unavailable = self.unavailable.difference(stock).union(gone)

    def _take_event(self, number: int, event: Event, store_id: str, longest: int) -> None:
        own = self.events.get(event.user_id)
        entry = (number, sys.intern(event.item_id))
        if own is None:
            self._users[erased_digest(store_id, event.user_id)] = event.user_id
            self.events[event.user_id] = deque([entry], maxlen=longest)
        else:
            own.append(entry)

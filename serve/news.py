"""What is new in the event store's log, page by page: asked for on the way of a request, or read ahead by a thread."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator

from serve.questions import Change
from serve.store import PAGE, EventStore

Page = tuple[list[Change], int]
"""Entries in order, and the number of the last one that is accounted for with them."""


def pages(store: EventStore, after: int, events_after: int = 0) -> Iterator[Page]:
    """The entries numbered above ``after`` to the log's end, without events up to number ``events_after``."""
    while True:
        head = store.position()
        page = store.changes(after, PAGE, events_after)
        last = page[-1].seq if page else after
        after = last if len(page) == PAGE else max(head, last)  # the last ones may be events that are not asked for
        yield page, after
        if len(page) < PAGE:
            return


class News:
    """Of a store that announces its news, what is new is read by the store's threads, and nobody waits for it here."""

    def __init__(self, store: EventStore, position: int) -> None:
        """``position``: the last entry that is known already."""
        self._store = store
        self._read = position
        self._reading = threading.Lock()
        self._ahead: deque[Page] = deque()
        self._announced = store.announce(self._heard)

    def since(self, position: int, events_after: int) -> Iterator[Page]:
        """What is new; entries up to ``position`` may be among it again. Raises `StoreError`."""
        if not self._announced:
            yield from pages(self._store, position, events_after)
        while self._ahead:
            yield self._ahead.popleft()

    def _heard(self) -> None:
        with self._reading:
            if self._store.position() > self._read:
                for page in pages(self._store, self._read):
                    self._ahead.append(page)
                    _, self._read = page

"""What the shop tells the service: events, items, erasures. The store waits for the disk, so it does so in threads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from serve.questions import Accepted, Event, ItemChange
from serve.shelf import Shelf, UnknownItemsError
from serve.state import ShopState
from serve.store import StoreError

BEGUN_S = 2.0
"""Longest that a write waits for others before it begins; it is refused then."""

Said = TypeVar("Said")


class Writes:
    """Of one replica; used on its event loop alone. Raises what the store raises: then nothing was accepted.

    Threads are its own, and those that erase are nobody else's: Redis writes its files anew for an erasure.
    """

    def __init__(self, state: ShopState) -> None:
        self._state = state
        self._writers = ThreadPoolExecutor(4, "write")
        self._erasers = ThreadPoolExecutor(2, "erase")

    async def add_events(self, shelves: Sequence[Shelf], events: Sequence[Event], key: str | None) -> Accepted:
        """Store events of items that a shelf has, or had; `UnknownItemsError` for others, and none is stored."""
        asked = dict.fromkeys(event.item_id for event in events)
        unknown = [item_id for item_id in asked if not any(shelf.knew(item_id) for shelf in shelves)]
        if unknown:
            raise UnknownItemsError(unknown)
        return await _done(self._writers, lambda: self._state.store.add_events(events, key))

    async def put_item(self, shelf: Shelf, change: ItemChange) -> dict[str, Any]:
        """Say something of an item; gives what is known of it then."""
        await _done(self._writers, lambda: self._state.store.put_item(change))
        self._state.refresh()
        return shelf.view(change.item_id) or {}

    async def delete_item(self, shelves: Sequence[Shelf], item_id: str) -> bool:
        """Take an item out; False where no shelf has it."""
        if all(shelf.find(item_id) is None for shelf in shelves):
            return False
        await _done(self._writers, lambda: self._state.store.put_item(ItemChange(item_id, deleted=True)))
        return True

    async def erase(self, user_id: str) -> int:
        """Erase a user; gives how many events went."""
        return await asyncio.get_running_loop().run_in_executor(self._erasers, self._state.store.erase, user_id)


async def _done(threads: ThreadPoolExecutor, write: Callable[[], Said]) -> Said:
    """What the write gives; `StoreError` if others that do not end keep it from beginning."""
    writing = threads.submit(write)
    ended = asyncio.wrap_future(writing)
    await asyncio.wait([ended], timeout=BEGUN_S)
    if writing.cancel():
        raise StoreError("Earlier writes to the event store have not ended", "Ask again")
    return await ended

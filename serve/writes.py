"""What the shop tells the service: events, items, erasures. The store waits for the disk, so it does so in threads."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from serve.questions import Accepted, Event, ItemChange
from serve.shelf import Shelf, UnknownItemsError
from serve.state import ShopState


class Writes:
    """Of one replica; used on its event loop alone. Raises what the store raises: then nothing was accepted."""

    def __init__(self, state: ShopState) -> None:
        self._state = state

    async def add_events(self, shelves: Sequence[Shelf], events: Sequence[Event], key: str | None) -> Accepted:
        """Store events of items that a shelf has, or had; `UnknownItemsError` for others, and none is stored."""
        asked = dict.fromkeys(event.item_id for event in events)
        unknown = [item_id for item_id in asked if not any(shelf.knew(item_id) for shelf in shelves)]
        if unknown:
            raise UnknownItemsError(unknown)
        return await asyncio.to_thread(self._state.store.add_events, events, key)

    async def put_item(self, shelf: Shelf, change: ItemChange) -> dict[str, Any]:
        """Say something of an item; gives what is known of it then."""
        await asyncio.to_thread(self._state.store.put_item, change)
        self._state.refresh()
        return shelf.view(change.item_id) or {}

    async def delete_item(self, shelves: Sequence[Shelf], item_id: str) -> bool:
        """Take an item out; False where no shelf has it."""
        if all(shelf.find(item_id) is None for shelf in shelves):
            return False
        await asyncio.to_thread(self._state.store.put_item, ItemChange(item_id, available=False, deleted=True))
        return True

    async def erase(self, user_id: str) -> int:
        """Erase a user; gives how many events went."""
        return await asyncio.to_thread(self._state.store.erase, user_id)

"""Work that grows with the catalogue, done beside the event loop where it would keep others waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from serve.shelf import Shelf

LARGE = 100_000
"""Items from which on a thread does what looks at all of them: some milliseconds."""

Found = TypeVar("Found")


async def beside(shelf: Shelf, work: Callable[[], Found]) -> Found:
    """What ``work`` gives, by a thread if the catalogue is large."""
    return work() if shelf.catalogue.n_items < LARGE else await asyncio.to_thread(work)


async def indexed(shelf: Shelf) -> None:
    """Have the catalogue's words read, by a thread the first time."""
    if not shelf.catalogue.indexed:
        await asyncio.to_thread(lambda: shelf.catalogue.index)

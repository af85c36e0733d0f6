"""Live lists that replicas share through the event store, in threads of their own: a store that hangs stops nobody."""

from __future__ import annotations

import asyncio
import json
import logging
from concurrent.futures import Future, ThreadPoolExecutor

from serve.questions import LiveAnswer
from serve.store import EventStore, StoreError

FOUND_S = 0.2
"""Longest wait for a list that some replica has shared; the live model is asked then."""
SHARED_S = 0.05
"""Longest that a live answer waits until other replicas can have it; it is shared behind the answer then."""
WAITING = 32
"""Lists that may wait to be shared; what comes beyond is not shared."""

log = logging.getLogger("ray.serve")

Ranked = tuple[list[int], list[float]]
"""Item indices, best first, and their scores."""


class Fresh:
    """Of one replica; used on its event loop alone."""

    def __init__(self, store: EventStore) -> None:
        self._store = store
        self._finders = ThreadPoolExecutor(2, "find-fresh")
        self._sharer = ThreadPoolExecutor(1, "share-fresh")
        self._sharing: set[Future[None]] = set()

    async def find(self, user_id: str, snapshot: str) -> Ranked | None:
        """The list that some replica shared, if nothing has happened since; None too where the store does not say."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(FOUND_S):
                stored = await loop.run_in_executor(self._finders, self._store.get_fresh, user_id, snapshot)
        except (StoreError, TimeoutError):
            return None
        if stored is None:
            return None
        found = json.loads(stored)
        return found["items"], found["scores"]

    async def share(self, user_id: str, snapshot: str, position: int, live: LiveAnswer) -> None:
        """Put a live list where all replicas find it; ``position``: the log's when the history was read."""
        if len(self._sharing) >= WAITING:
            return
        content = json.dumps({"items": live.items, "scores": live.scores}).encode()
        sharing = self._sharer.submit(self._put, user_id, snapshot, position, content)
        self._sharing.add(sharing)
        sharing.add_done_callback(self._sharing.discard)
        await asyncio.wait([asyncio.wrap_future(sharing)], timeout=SHARED_S)

    def _put(self, user_id: str, snapshot: str, position: int, content: bytes) -> None:
        try:
            self._store.put_fresh(user_id, snapshot, position, content)
        except StoreError as error:
            log.warning("a live answer could not be kept: %s", error)

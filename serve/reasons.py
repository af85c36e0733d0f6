"""Why items are recommended, by the live model, with names for indices."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from semconv.recommend.wish_index import says_something
from serve.admission import Admission
from serve.questions import LiveClient, LiveError, Wanted
from serve.shelf import Shelf, UnknownItemsError

DEADLINE_S = 10.0
"""Longest wait for reasons: nothing else can give them."""
QUEUE = 4
"""Questions for reasons that may wait at a replica: each costs as much as a dozen live answers."""


class Reasons:
    """Of one replica; used on its event loop alone."""

    def __init__(self, live: LiveClient) -> None:
        self._live = live
        self._admission = Admission(QUEUE)

    async def of(self, shelf: Shelf, history: Sequence[int], items: Sequence[str], wish: str) -> list[dict[str, Any]]:
        """One for each item, in order; raises `UnknownItemsError` for what the snapshot does not hold, `LiveError`."""
        indices = [shelf.snapshot.item_index(item_id) for item_id in items]
        known = tuple(index for index in indices if index is not None)
        if len(known) < len(items):
            raise UnknownItemsError([item_id for item_id, index in zip(items, indices, strict=True) if index is None])
        wanted = Wanted(shelf.snapshot.kept, wish=wish if says_something(wish) else "")
        question = shelf.question(history, wanted, wanted.k, DEADLINE_S)
        try:
            with self._admission.admit(DEADLINE_S):
                async with asyncio.timeout(DEADLINE_S):
                    reasons = await self._live.reasons(question, known)
        except TimeoutError:
            raise LiveError(f"no reasons within {DEADLINE_S:g} s") from None
        return [_named(shelf, reason) for reason in reasons]


def _named(shelf: Shelf, told: dict[str, Any]) -> dict[str, Any]:
    """A reason, and what is in it, with ``item_id`` and ``title`` for ``item``."""
    item = shelf.item(told["item"])
    named = {"item_id": item.item_id, "title": item.title, **told}
    del named["item"]
    if "history" in told:
        named["history"] = [_named(shelf, one) for one in told["history"]]
        named["prefix"] = _named(shelf, told["prefix"]) if told["prefix"] else None
    return named

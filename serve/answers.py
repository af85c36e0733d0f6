"""Where an answer comes from: the snapshot, the live model, or, when that fails, popular items. Knows no HTTP."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from semconv.artifacts import TopKSnapshot

log = logging.getLogger("ray.serve")

Source = Literal["cache", "live", "fallback"]


class LiveError(Exception):
    """The live model gave no answer, with the reason."""


@dataclass(frozen=True)
class LiveAnswer:
    """Item indices, best first, their scores, and the fingerprint of the model that chose them."""

    items: list[int]
    scores: list[float]
    model: str


Live = Callable[[list[int]], Awaitable[LiveAnswer]]
"""Ranks a history of item indices, oldest first; raises `LiveError`."""


@dataclass(frozen=True)
class Answer:
    """Ranked items with scores; ``model`` is None where none took part, ``ignored`` counts unknown history ids."""

    source: Source
    items: list[dict[str, Any]]
    snapshot: str
    model: str | None
    ignored: int = 0


class Recommendations:
    """Answers from one snapshot and the live model behind it."""

    def __init__(self, snapshot: TopKSnapshot, live: Live, deadline_s: float) -> None:
        self.snapshot = snapshot
        self._live = live
        self._deadline_s = deadline_s
        self._model = snapshot.manifest.lineage.get("model")
        self._filter_seen = bool(snapshot.manifest.settings["precache"]["filter_seen"])

    def known(self, user_id: str, k: int) -> Answer | None:
        """The user's ``k`` best items from the snapshot; None for a user it does not hold."""
        found = self.snapshot.lookup(user_id)
        if found is None:
            return None
        items = self._shown(found[0][:k].tolist(), found[1][:k].tolist())
        return Answer("cache", items, self.snapshot.fingerprint, self._model)

    async def for_history(self, history: Sequence[str], k: int) -> Answer:
        """The ``k`` best items after a history of item ids, oldest first; popular ones if the model is not in time."""
        indices = [index for index in map(self.snapshot.item_index, history) if index is not None]
        ignored = len(history) - len(indices)
        try:
            async with asyncio.timeout(self._deadline_s):
                live = await self._live(indices)
        except (LiveError, TimeoutError) as error:
            log.warning("live model gave no answer, popular items instead: %s", str(error) or "past the deadline")
            return Answer("fallback", self._popular(set(indices), k), self.snapshot.fingerprint, None, ignored)
        shown = self._shown(live.items[:k], live.scores[:k])
        return Answer("live", shown, self.snapshot.fingerprint, live.model, ignored)

    def _popular(self, history: set[int], k: int) -> list[dict[str, Any]]:
        items, scores = self.snapshot.popular
        seen = history if self._filter_seen else set()
        best = [place for place, item in enumerate(items.tolist()) if item not in seen][:k]
        return self._shown(items[best].tolist(), scores[best].tolist())

    def _shown(self, items: Iterable[int], scores: Iterable[float]) -> list[dict[str, Any]]:
        shown = []
        for index, score in zip(items, scores, strict=True):
            item_id, title = self.snapshot.item(index)
            shown.append({"item_id": item_id, "title": title, "score": round(score, 6)})
        return shown

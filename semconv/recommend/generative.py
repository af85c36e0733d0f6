"""The generative model as a recommender: constrained beam search over the catalogue's codes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

from semconv.artifacts.ragged import Int32
from semconv.llm.filters import Allowed, filters_for
from semconv.llm.memory import free_memory, search_memory
from semconv.llm.protocol import BeamModel
from semconv.llm.search import Found, Scoring, beam_search
from semconv.llm.trie import Trie
from semconv.recommend.ranker import Ranking

SHARE = 0.5
"""Share of the free memory that a batch may take."""


class GenerativeRanker:
    """Speaks the codes of the next item, and only codes that are an item's; a `Ranker`."""

    def __init__(self, name: str, model: BeamModel, trie: Trie, beams: int, scoring: Scoring = "legal") -> None:
        """Searches with ``beams`` beams, or with k where more items are asked for."""
        self.name = name
        self.model = model
        self.trie = trie
        self.beams = beams
        self.scoring = scoring
        self._search_memory = cache(lambda beams: search_memory(trie, beams))

    def rank(
        self,
        histories: Sequence[Int32],
        k: int,
        *,
        exclude: Sequence[Int32] | None = None,
        allow: Allowed | None = None,
    ) -> Ranking:
        """See `Ranker`; ``allow`` and the scores as in `beam_search`."""
        found = self.search(histories, k, exclude=exclude, allow=allow)
        return Ranking(found.items, found.scores)

    def search(
        self,
        histories: Sequence[Int32],
        k: int,
        *,
        exclude: Sequence[Int32] | None = None,
        allow: Allowed | None = None,
    ) -> Found:
        """The same with what the search knows of the items' codes."""
        beams = max(self.beams, k)
        parts = []
        for rows in self._batches(histories, min(beams, len(self.trie.items))):
            part = [histories[row] for row in rows]
            excluded, allowed = filters_for(exclude, allow, rows)
            found = beam_search(self.model, self.trie, part, k, beams, self.scoring, exclude=excluded, allow=allowed)
            parts.append(found)
        return Found(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))

    def _batches(self, histories: Sequence[Int32], beams: int) -> list[range]:
        """All rows in batches that memory holds: one empty batch where there are none."""
        longest = max(map(len, histories), default=0)
        need = self.model.memory(longest, beams) + self._search_memory(beams)
        size = need.users(int(free_memory(self.trie.device) * SHARE))
        return [range(row, min(row + size, len(histories))) for row in range(0, max(1, len(histories)), size)]

"""The generative model as a recommender: constrained beam search over the catalogue's codes."""

from __future__ import annotations

from collections.abc import Sequence

from semconv.artifacts.ragged import Int32
from semconv.llm.filters import Allowed
from semconv.llm.protocol import BeamModel
from semconv.llm.search import Scoring, beam_search
from semconv.llm.trie import Trie
from semconv.recommend.ranker import Ranking


class GenerativeRanker:
    """Speaks the codes of the next item, and only codes that are an item's; a `Ranker`."""

    def __init__(self, name: str, model: BeamModel, trie: Trie, beams: int, scoring: Scoring = "legal") -> None:
        """Searches with ``beams`` beams, or with k where more items are asked for."""
        self.name = name
        self.model = model
        self.trie = trie
        self.beams = beams
        self.scoring = scoring

    def rank(
        self,
        histories: Sequence[Int32],
        k: int,
        *,
        exclude: Sequence[Int32] | None = None,
        allow: Allowed | None = None,
    ) -> Ranking:
        """See `Ranker`; ``allow`` and the scores as in `beam_search`."""
        beams = max(self.beams, k)
        found = beam_search(self.model, self.trie, histories, k, beams, self.scoring, exclude=exclude, allow=allow)
        return Ranking(found.items, found.scores)

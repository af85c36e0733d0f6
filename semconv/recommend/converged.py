"""Converged: the generative model and the traditional recommenders, ranked as one.

Every source proposes candidates, all of them tell what they know of each, and the blend scores them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from semconv.artifacts.ragged import Int32
from semconv.behaviour.ordering import top_k
from semconv.recommend.blend import Blend
from semconv.recommend.evidence import Source, gather
from semconv.recommend.ranker import Ranking

ENTRIES = 2**28
"""Scores of the whole catalogue that all sources together hold at a time, at most."""


class ConvergedRanker:
    """A `Ranker` over several sources."""

    def __init__(
        self, name: str, sources: Sequence[Source], blend: Blend, counts_N: torch.Tensor, candidates: int
    ) -> None:
        """``candidates`` of each source, or k where more are asked for; ``counts_N`` rank items of equal score."""
        self.name = name
        self.sources = tuple(sources)
        self.blend = blend
        self._counts_N = counts_N
        self.candidates = candidates

    @torch.no_grad()
    def rank(self, histories: Sequence[Int32], k: int, *, exclude: Sequence[Int32] | None = None) -> Ranking:
        """See `Ranker`; scores are the blend's."""
        size = max(1, ENTRIES // (len(self._counts_N) * len(self.sources)))
        parts = [Ranking.empty(k)]
        for start in range(0, len(histories), size):
            rows = slice(start, start + size)
            parts.append(self._ranked(histories[rows], k, exclude[rows] if exclude is not None else None))
        return Ranking(np.concatenate([part.items for part in parts]), np.concatenate([part.scores for part in parts]))

    def _ranked(self, histories: Sequence[Int32], k: int, exclude: Sequence[Int32] | None) -> Ranking:
        evidence = gather(self.sources, histories, max(k, self.candidates), exclude)
        rows_X, places_X = evidence.live.nonzero(as_tuple=True)
        scores_BN = torch.full((len(histories), len(self._counts_N)), -torch.inf)
        scores_BN[rows_X, evidence.items_BM[rows_X, places_X]] = self.blend(evidence.features_BMF)[rows_X, places_X]
        return Ranking(*top_k(scores_BN, k, self._counts_N, exclude))

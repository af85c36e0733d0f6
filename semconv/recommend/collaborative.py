"""A collaborative model as a recommender."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from semconv.artifacts.ragged import Int32
from semconv.behaviour.ordering import top_k
from semconv.behaviour.protocol import BehaviourModel
from semconv.recommend.ranker import Ranking


class CollaborativeRanker:
    """Ranks the whole catalogue by the model's scores; a `Ranker` of the model's name."""

    def __init__(self, model: BehaviourModel, counts_N: torch.Tensor) -> None:
        """``counts_N``: training interactions of every item, int64 (N), which rank items of equal score."""
        self.name = model.name
        self._model = model
        self._counts_N = counts_N

    def rank(self, histories: Sequence[Int32], k: int, *, exclude: Sequence[Int32] | None = None) -> Ranking:
        """See `Ranker`."""
        if not len(histories):
            return Ranking.empty(k)
        return Ranking(*top_k(self._model.scores(histories), k, self._counts_N, exclude))

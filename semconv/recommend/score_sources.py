"""Systems that score the whole catalogue, as sources of evidence.

B histories, N items, M candidates, D width, R recent items, F features.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch.nn import functional as F

from semconv.artifacts.ragged import Int32
from semconv.behaviour.item_to_item import ItemToItem
from semconv.behaviour.ordering import top_k
from semconv.behaviour.protocol import BehaviourModel
from semconv.recommend.evidence import Reading
from semconv.recommend.text_neighbours import RECENT, TextNeighbours

FAINT = 1e-4
"""Share of all votes that stands for none at all."""
ROWS = 32
"""Histories whose candidates' vectors are held at a time."""


class Scored:
    """Scores of all items, and features of some; a `Reading`."""

    def __init__(
        self, scores_BN: torch.Tensor, counts_N: torch.Tensor, tell: Callable[[torch.Tensor], list[torch.Tensor]]
    ) -> None:
        """``tell`` gives the features of items (B, M), each float (B, M)."""
        self._scores_BN = scores_BN
        self._counts_N = counts_N
        self._tell = tell

    def best(self, k: int, exclude: Sequence[Int32] | None) -> Int32:
        """See `Reading`."""
        return top_k(self._scores_BN, k, self._counts_N, exclude)[0]

    def features(self, items_BM: torch.Tensor) -> torch.Tensor:
        """See `Reading`."""
        return torch.stack([told.float() for told in self._tell(items_BM)], dim=2)


class EncoderSource:
    """An encoder's scores as log-probabilities, and in standard deviations from their mean over the catalogue."""

    def __init__(self, model: BehaviourModel, counts_N: torch.Tensor) -> None:
        self.features = (f"{model.name}.log_probability", f"{model.name}.standard_score")
        self._model = model
        self._counts_N = counts_N

    def read(self, histories: Sequence[Int32]) -> Reading:
        """See `Source`."""
        scores_BN = self._model.scores(histories).float()
        total_B1 = scores_BN.logsumexp(1, keepdim=True)
        mean_B1, deviation_B1 = scores_BN.mean(1, keepdim=True), scores_BN.std(1, keepdim=True)

        def tell(items_BM: torch.Tensor) -> list[torch.Tensor]:
            found_BM = scores_BN.gather(1, items_BM)
            return [found_BM - total_B1, (found_BM - mean_B1) / deviation_B1.clamp(min=FAINT)]

        return Scored(scores_BN, self._counts_N, tell)


class CounterSource:
    """Item-to-item votes: their share of all that the history casts, of the last item's alone, and whether any."""

    def __init__(self, model: ItemToItem, counts_N: torch.Tensor) -> None:
        self.features = tuple(f"{model.name}.{name}" for name in ("log_votes", "log_share", "log_last", "any"))
        self._model = model
        self._counts_N = counts_N

    def read(self, histories: Sequence[Int32]) -> Reading:
        """See `Source`."""
        votes_BN = self._model.scores(histories)
        last_BN = self._model.scores([history[-1:] for history in histories])
        all_B1, usual = votes_BN.sum(1, keepdim=True), float(self._model.votes_NN.sum(axis=1).mean())

        def tell(items_BM: torch.Tensor) -> list[torch.Tensor]:
            found_BM, of_last_BM = votes_BN.gather(1, items_BM), last_BN.gather(1, items_BM)
            faint = max(FAINT * usual, torch.finfo(torch.float32).tiny)
            share_BM = found_BM / all_B1.clamp(min=torch.finfo(torch.float32).tiny)
            return [(found_BM + faint).log(), (share_BM + FAINT).log(), (of_last_BM + faint).log(), found_BM > 0]

        return Scored(votes_BN, self._counts_N, tell)


class TextSource:
    """Cosines of an item's text with those of the history's recent items: their mean, that of the last, the largest."""

    def __init__(self, neighbours: TextNeighbours, text_ND: torch.Tensor, counts_N: torch.Tensor) -> None:
        """Rows of ``text_ND`` that are all zero are items without text, whose cosines are 0."""
        self.features = tuple(f"{neighbours.name}.{name}" for name in ("mean", "last", "nearest"))
        self._neighbours = neighbours
        self._unit_ND = F.normalize(text_ND.float(), dim=1)
        self._counts_N = counts_N

    def read(self, histories: Sequence[Int32]) -> Reading:
        """See `Source`."""
        scores_BN = self._neighbours.scores(histories)
        recent = [torch.from_numpy(history[-RECENT:].astype(np.int64)) for history in histories]

        def tell(items_BM: torch.Tensor) -> list[torch.Tensor]:
            last_BM, nearest_BM = torch.zeros(items_BM.shape), torch.zeros(items_BM.shape)
            for start in range(0, len(items_BM), ROWS):
                vectors_bMD = self._unit_ND[items_BM[start : start + ROWS]]
                for row, vectors_MD in enumerate(vectors_bMD, start=start):
                    if len(recent[row]):
                        cosines_MR = vectors_MD @ self._unit_ND[recent[row]].T
                        last_BM[row], nearest_BM[row] = cosines_MR[:, -1], cosines_MR.amax(dim=1)
            return [scores_BN.gather(1, items_BM).clamp(min=-1.0), last_BM, nearest_BM]

        return Scored(scores_BN, self._counts_N, tell)

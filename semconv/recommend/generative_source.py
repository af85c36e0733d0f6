"""The generative model as a source of evidence: what its beam search finds, and how likely it says that is.

B histories, K beams, M candidates.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from semconv.artifacts.ragged import Int32
from semconv.recommend.evidence import Reading
from semconv.recommend.generative import GenerativeRanker
from semconv.recommend.ranker import NO_ITEM, Ranking


class GenerativeSource:
    """Log-probabilities of the items that the search finds, and which those are.

    The search is asked without exclusions, so that what it says of an item depends on the history alone.
    """

    features = ("generative.log_probability", "generative.found")

    def __init__(self, ranker: GenerativeRanker) -> None:
        self._ranker = ranker

    def read(self, histories: Sequence[Int32]) -> Reading:
        """See `Source`."""
        return _Found(self._ranker.rank(histories, self._ranker.beams))


class _Found:
    """A `Reading`. An item that was not found is as likely as the last that was."""

    def __init__(self, ranking: Ranking) -> None:
        self._ranking = ranking

    def best(self, k: int, exclude: Sequence[Int32] | None) -> Int32:
        """See `Reading`."""
        items_BK = self._ranking.items
        proposed = np.full((len(items_BK), k), NO_ITEM, np.int32)
        for row, items_K in enumerate(items_BK):
            barred = items_K == NO_ITEM
            if exclude is not None:
                barred |= np.isin(items_K, exclude[row])
            kept = items_K[~barred][:k]
            proposed[row, : len(kept)] = kept
        return proposed

    def features(self, items_BM: torch.Tensor) -> torch.Tensor:
        """See `Reading`."""
        items_BK = torch.from_numpy(self._ranking.items.astype(np.int64))
        scores_BK = torch.from_numpy(self._ranking.scores)
        live_BK = items_BK != NO_ITEM
        least_B1 = scores_BK.masked_fill(~live_BK, torch.inf).amin(dim=1, keepdim=True)
        least_B1 = least_B1.masked_fill(~live_BK.any(dim=1, keepdim=True), 0.0)
        ordered_BK, order_BK = items_BK.sort(dim=1)
        place_BM = torch.searchsorted(ordered_BK, items_BM.contiguous()).clamp_(max=items_BK.shape[1] - 1)
        found_BM = ordered_BK.gather(1, place_BM) == items_BM
        scores_BM = scores_BK.gather(1, order_BK).gather(1, place_BM)
        return torch.stack([torch.where(found_BM, scores_BM, least_B1), found_BM.float()], dim=2)

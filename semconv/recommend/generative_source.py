"""The generative model as a source of evidence: what its beam search finds, and how good it says every candidate is.

B histories, K beams, M candidates, N items.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch

from semconv.artifacts.ragged import Int32
from semconv.recommend.evidence import Reading
from semconv.recommend.generative import GenerativeRanker
from semconv.recommend.ranker import NO_ITEM


class GenerativeSource:
    """Scores of items, what of them comes from which codes, how much a history raises them, and what the search finds.

    The search proposes. Then it is led, by a filter, to the items asked about, so that each has its own score, whether
    the search alone would have come to it or not. ``lift`` is that score less the one after no history at all: what
    the model knows besides what everybody buys. ``prefix_1`` is the score of an item's first code, ``prefix_2`` that
    of the first two, up to all but the last; ``whole`` is what the model says of the item besides its codes.
    """

    def __init__(self, ranker: GenerativeRanker) -> None:
        self._ranker = ranker
        prefixes = (f"prefix_{level}" for level in range(1, ranker.trie.levels))
        self.features = tuple(f"generative.{name}" for name in ("score", "lift", "found", "whole", *prefixes))

    def read(self, histories: Sequence[Int32]) -> Reading:
        """See `Source`."""
        return _Read(self._ranker, histories, self._usual)

    @cached_property
    def _usual(self) -> torch.Tensor:
        """Score of every item after no history at all, float32 (N)."""
        everything = torch.arange(self._ranker.trie.n_items)[None]
        return scores_of(self._ranker, [np.zeros(0, np.int32)], everything)[0]


def scores_of(ranker: GenerativeRanker, histories: Sequence[Int32], items_BM: torch.Tensor) -> torch.Tensor:
    """Scores of the items int64 (B, M), which may repeat, after each history: float32 (B, M)."""
    return _asked(ranker, histories, items_BM)[0]


def _asked(
    ranker: GenerativeRanker, histories: Sequence[Int32], items_BM: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Scores of the items, float32 (B, M), and of their prefixes of codes, float32 (B, M, L)."""
    asked = [np.unique(items_M).astype(np.int32) for items_M in items_BM.numpy()]
    found = ranker.search(histories, max(map(len, asked)), allow=asked)
    places_BM, _ = _places(found.items, items_BM)
    prefixes_BKL = torch.from_numpy(found.prefixes)
    prefixes_BML = prefixes_BKL.gather(1, places_BM[:, :, None].expand(-1, -1, prefixes_BKL.shape[2]))
    return torch.from_numpy(found.scores).gather(1, places_BM), prefixes_BML


class _Read:
    """A `Reading`."""

    def __init__(self, ranker: GenerativeRanker, histories: Sequence[Int32], usual_N: torch.Tensor) -> None:
        self._ranker = ranker
        self._histories = histories
        self._usual_N = usual_N
        self._found = ranker.rank(histories, ranker.beams)

    def best(self, k: int, exclude: Sequence[Int32] | None) -> Int32:
        """See `Reading`."""
        items_BK = self._found.items
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
        scores_BM, prefixes_BML = _asked(self._ranker, self._histories, items_BM)
        found_BM = _places(self._found.items, items_BM)[1]
        told = [scores_BM, scores_BM - self._usual_N[items_BM], found_BM.float(), scores_BM - prefixes_BML[:, :, -1]]
        return torch.cat([torch.stack(told, dim=2), prefixes_BML[:, :, :-1]], dim=2)


def _places(items_BK: Int32, items_BM: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Where a ranking has each of the items, int64 (B, M), and whether it does; places of others mean nothing."""
    ordered_BK, order_BK = torch.from_numpy(items_BK.astype(np.int64)).sort(dim=1)
    place_BM = torch.searchsorted(ordered_BK, items_BM.contiguous()).clamp_(max=items_BK.shape[1] - 1)
    return order_BK.gather(1, place_BM), ordered_BK.gather(1, place_BM) == items_BM

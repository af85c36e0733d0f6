"""Text neighbours: items whose text is like that of what the user bought last. Nothing is learned.

Content-based recommendation by nearest neighbours (Pazzani & Billsus 2007). N items, D width, B histories.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp
import torch
from torch.nn import functional as F

from semconv.artifacts.ragged import Int32, Ragged

RECENT = 10
"""Items of a history that are compared, the last ones."""

RECENCY = 0.5
"""How many times as much an item counts per step back from the last. On validation .5 ranked better than .7."""

WITHOUT_TEXT = -2.0
"""Score of an item without text, below every cosine."""


class TextNeighbours:
    """Mean cosine of an item with the last `RECENT` items of the history, weighted by recency; a `BehaviourModel`."""

    name = "text_neighbours"

    def __init__(self, text_ND: torch.Tensor, has_text_N: torch.Tensor) -> None:
        """``text_ND``: text vectors, float (N, D), of any length; ``has_text_N``: bool (N)."""
        self._unit_ND = F.normalize(text_ND.float(), dim=1) * has_text_N[:, None]
        self._has_text_N = has_text_N

    def scores(self, histories: Sequence[Int32]) -> torch.Tensor:
        """Mean cosines, float32 (B, N); `WITHOUT_TEXT` for items without text.

        Items of the history without text have no say. Where none is left, every item scores 0, with text or not, so
        that training counts decide.
        """
        recent = Ragged.of([history[-RECENT:][::-1] for history in histories])
        back = np.arange(len(recent.values)) - np.repeat(recent.offsets[:-1], recent.lengths)
        weights = RECENCY**back * self._has_text_N.numpy()[recent.values]
        weights_BN = sp.csr_array((weights, recent.values, recent.offsets), shape=(len(recent), len(self._unit_ND)))
        totals_B1 = torch.from_numpy(np.asarray(weights_BN.sum(axis=1)))[:, None]
        told_B1 = totals_B1 > 0
        means_BD = torch.from_numpy(weights_BN @ self._unit_ND.numpy()) / totals_B1.where(told_B1, 1.0)
        scores_BN = means_BD.float() @ self._unit_ND.T
        return scores_BN.masked_fill(told_B1 & ~self._has_text_N, WITHOUT_TEXT)

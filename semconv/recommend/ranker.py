"""The one shape of a recommender: histories in, the best K catalogue items out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from semconv.artifacts.ragged import NO_ITEM, Int32

__all__ = ["NO_ITEM", "Ranker", "Ranking"]


@dataclass(frozen=True)
class Ranking:
    """Best items first: ``items`` int32 (B, K), `NO_ITEM` past the last; ``scores`` float32 (B, K), -inf there."""

    items: Int32
    scores: npt.NDArray[np.float32]

    @classmethod
    def empty(cls, k: int) -> Ranking:
        """The ranking of no history at all: shapes (0, k)."""
        return cls(np.zeros((0, k), np.int32), np.zeros((0, k), np.float32))


class Ranker(Protocol):
    """A system that recommends: the generative model, a collaborative one, or a blend."""

    name: str

    def rank(self, histories: Sequence[Int32], k: int, *, exclude: Sequence[Int32] | None = None) -> Ranking:
        """The best ``k`` items for each history (item indices, oldest first, possibly empty).

        ``exclude`` names, per history, items that must not appear; k legal items are returned whenever they exist.
        No item appears twice in a row.
        """
        ...

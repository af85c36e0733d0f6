"""What every collaborative model can do: score the whole catalogue for a history."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch

from semconv.artifacts.ragged import Int32


class BehaviourModel(Protocol):
    """A fitted collaborative model over N items."""

    name: str

    def scores(self, histories: Sequence[Int32]) -> torch.Tensor:
        """Scores of every item for each history (item indices, oldest first, possibly empty): float32 (B, N).

        Higher is better; equal scores are ranked by training count, then by item index, by whoever ranks them.
        """
        ...

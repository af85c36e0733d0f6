"""What the constrained search asks of a model, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch

from semconv.artifacts.ragged import Int32


class BeamModel(Protocol):
    """A model that scores the next code of partial code tuples, level by level.

    B histories, K live beams, L ``levels``, C ``codes`` per level. The state is the model's own; the search only
    carries it from call to call, and continues each state at most once.
    """

    levels: int
    codes: int

    def start(self, histories: Sequence[Int32]) -> tuple[Any, torch.Tensor]:
        """Read the histories (item indices, oldest first, possibly empty).

        Returns the state and the log-probabilities of the first code, float32 (B, 1, C), normalised over everything
        the model could say there.
        """
        ...

    def step(
        self, state: Any, level: int, parents_BK: torch.Tensor, codes_BK: torch.Tensor
    ) -> tuple[Any, torch.Tensor]:
        """Extend the beams by the codes chosen at ``level - 1`` and score the codes of ``level``.

        ``parents_BK`` int64: which beam of the previous call each live beam continues; ``codes_BK`` int64: the code
        it was extended by. Returns the new state and log-probabilities, float32 (B, K, C).
        """
        ...

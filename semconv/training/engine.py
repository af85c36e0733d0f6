"""The seam between the training loop and how a step is computed: one process, or DeepSpeed over several."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn


class Engine(Protocol):
    """Owns the model, its optimizer and the collectives. Every rank makes the same calls in the same order.

    The model's ``forward(batch)`` returns the loss; losses are averaged over ranks.
    """

    rank: int
    world: int

    def step(self, batch: Any, learning_rate: float) -> torch.Tensor:
        """Forward, backward, clip, update; returns this rank's loss, a detached scalar that nobody waited for."""
        ...

    def total(self, values: torch.Tensor) -> torch.Tensor:
        """Sum over ranks, on the CPU."""
        ...

    def evaluating(self) -> AbstractContextManager[nn.Module]:
        """The model with its current, whole weights in evaluation mode; any method of it may be called."""
        ...

    def weights(self) -> dict[str, torch.Tensor]:
        """Copies of all parameters by name, whole, float32, on the CPU; those of rank 0 count, others may be empty."""
        ...

    def save(self, folder: Path) -> None:
        """Write this rank's part of the model's and the optimizer's state; ranks may write to different folders."""
        ...

    def load(self, folder: Path) -> None:
        """Go on from what all ranks' `save` wrote, merged into one folder."""
        ...

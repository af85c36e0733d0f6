"""The seam between the training loop and how a step is computed: one process, or DeepSpeed over several."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch
from torch import nn

from semconv.precision import Precision


class Step(NamedTuple):
    """This rank's loss, and the norm of the gradient over all ranks before it was clipped: scalars, not waited for."""

    loss: torch.Tensor
    norm: torch.Tensor


class Engine(Protocol):
    """Owns the model, its optimizer and the collectives. Every rank makes the same calls in the same order.

    The model's ``forward(batch)`` returns the loss; losses are averaged over ranks. A model whose vocabulary has rows
    to be trained on their own holds a `RowGate` as ``gate``.
    """

    rank: int
    world: int
    precision: Precision

    def step(self, parts: Sequence[Any], learning_rate: float, *, rows_alone: bool = False) -> Step:
        """Forward and backward of every part, then clip and update once, on the sum of their losses.

        With ``rows_alone`` only the rows behind the model's gate are updated, if it has one. All ranks give as many
        parts.
        """
        ...

    def total(self, values: torch.Tensor) -> torch.Tensor:
        """Sum over ranks, on the CPU."""
        ...

    def evaluating(self) -> AbstractContextManager[nn.Module]:
        """The model with its current, whole weights in evaluation mode; any method of it may be called."""
        ...

    def weights(self) -> dict[str, torch.Tensor]:
        """Copies of the trained parameters by name, whole, float32, on the CPU; those of rank 0 count.

        Parameters that take no gradient are left out: they are what the model was built with.
        """
        ...

    def save(self, folder: Path) -> None:
        """Write this rank's part of the model's and the optimizer's state; ranks may write to different folders."""
        ...

    def load(self, folder: Path) -> None:
        """Go on from what all ranks' `save` wrote, merged into one folder."""
        ...

"""What every collaborative model can do, score the whole catalogue for a history, and what an encoder does besides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, Self

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


class Encoder(BehaviourModel, Protocol):
    """A `BehaviourModel` that also gives every item a place in a space; a `torch.nn.Module` to whoever stores it."""

    n_items: int

    @property
    def item_vectors(self) -> torch.Tensor:
        """Item vectors, float32 (N, D); those of items without training interactions mean nothing."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """All that scoring needs, by name."""
        ...

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> Any:
        """Take over what `state_dict` gave."""
        ...

    def eval(self) -> Self:
        """Make it score the same whenever it is asked, and return it."""
        ...

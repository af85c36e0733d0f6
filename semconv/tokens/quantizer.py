"""What a quantizer is to the rest of semconv: vectors to tuples of codes, and back.

Legend: N items, D width of a vector, L levels, C codes per level, Z width of the space that is quantised.
"""

from __future__ import annotations

from typing import Protocol

import torch


class Quantizer(Protocol):
    """A fitted quantizer, frozen."""

    @property
    def codebooks(self) -> torch.Tensor:
        """Float32 (L, C, Z); the codes of an item add up to its point in the quantised space."""
        ...

    def latents(self, vectors_ND: torch.Tensor) -> torch.Tensor:
        """The points of the quantised space that codes approximate, float32 (N, Z)."""
        ...

    def encode(self, vectors_ND: torch.Tensor) -> torch.Tensor:
        """Codes of every vector, int64 (N, L)."""
        ...

    def decode(self, codes_NL: torch.Tensor) -> torch.Tensor:
        """What the codes stand for, float32 (N, D); of fewer columns, what the first levels say alone."""
        ...

    def level_costs(self, vectors_ND: torch.Tensor, codes_NL: torch.Tensor, level: int) -> torch.Tensor:
        """Squared error, in the quantised space, of every vector under each code of a level, the codes before it kept:
        float32 (N, C), as the level itself measures distance. Codes from ``level`` on are not looked at."""
        ...

    def tensors(self) -> dict[str, torch.Tensor]:
        """What has to be stored to encode again; ``codebooks`` among it."""
        ...

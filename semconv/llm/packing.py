"""Several examples in one row.

R rows, T positions a row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
import torch

from semconv.artifacts.ragged import Int64
from semconv.packing import first_fit, own_past, spread

PADDING = 0
"""Segment number of positions that hold nothing; examples are numbered from 1 within their row."""


@dataclass(frozen=True)
class PackedBatch:
    """A batch whose fields are tensors, but for ``scale``, by which the summed loss is multiplied."""

    def to(self, device: torch.device) -> Self:
        """The same batch on another device."""
        tensors = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "scale"}
        return replace(self, **{name: tensor.to(device, non_blocking=True) for name, tensor in tensors.items()})

    def pinned(self) -> Self:
        """The same batch in page-locked memory, from which a GPU copies while it computes."""
        tensors = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "scale"}
        return replace(self, **{name: tensor.pin_memory() for name, tensor in tensors.items()})


def pack(lengths: Sequence[int], capacity: int) -> tuple[Int64, Int64, int, int]:
    """Where each example goes: its row and first position (int64), then R and T.

    R is what first fit needs; the examples are then spread evenly over that many rows, so that little is padding.
    T is the larger of the longest example and the fullest row, never above ``capacity`` unless one example alone is.
    """
    sizes = np.asarray(lengths, np.int64)
    rows, starts, n_rows = first_fit(sizes, max([capacity, *lengths]))
    n_rows, fullest = max(1, n_rows), int(max([1, *(starts + sizes)]))
    even_rows, even_starts = spread(sizes, n_rows)
    even = int(max([1, *(even_starts + sizes)]))
    return (even_rows, even_starts, n_rows, even) if even < fullest else (rows, starts, n_rows, fullest)


def block_mask(segments_RT: torch.Tensor) -> torch.Tensor:
    """Which position may attend to which: same segment, not later; bool (R, 1, T, T), true where it may."""
    return own_past(segments_RT)[:, None]


def mask_for(model: Any, segments_RT: torch.Tensor) -> torch.Tensor:
    """`block_mask` as a Hugging Face model takes it: its own products (``eager``) add it to the scores."""
    mask = block_mask(segments_RT)
    if model.config._attn_implementation != "eager":
        return mask
    return torch.zeros(mask.shape, dtype=model.dtype, device=mask.device).masked_fill_(~mask, -torch.inf)

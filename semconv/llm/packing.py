"""Several examples in one row.

R rows, T positions a row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Self

import numpy as np
import torch

from semconv.artifacts.ragged import Int64
from semconv.packing import first_fit, own_past

PADDING = 0
"""Segment number of positions that hold nothing; examples are numbered from 1 within their row."""


@dataclass(frozen=True)
class PackedBatch:
    """A batch whose fields are tensors, but for ``scale``, by which the summed loss is multiplied."""

    def to(self, device: torch.device) -> Self:
        """The same batch on another device."""
        tensors = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "scale"}
        return replace(self, **{name: tensor.to(device, non_blocking=True) for name, tensor in tensors.items()})


def pack(lengths: Sequence[int], capacity: int) -> tuple[Int64, Int64, int, int]:
    """Where each example goes: its row and first position (int64), then R and T.

    T is the larger of the longest example and the fullest row, never above ``capacity`` unless one example alone is.
    """
    rows, starts, n_rows = first_fit(lengths, max([capacity, *lengths]))
    return rows, starts, max(1, n_rows), int(max([1, *(starts + np.asarray(lengths, np.int64))]))


def block_mask(segments_RT: torch.Tensor) -> torch.Tensor:
    """Which position may attend to which: same segment, not later; bool (R, 1, T, T), true where it may."""
    return own_past(segments_RT)[:, None]

"""Several examples in one row.

R rows, T positions a row.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from semconv.artifacts.ragged import Int64
from semconv.packing import first_fit, own_past

PADDING = 0
"""Segment number of positions that hold nothing; examples are numbered from 1 within their row."""


def pack(lengths: Sequence[int], capacity: int) -> tuple[Int64, Int64, int, int]:
    """Where each example goes: its row and first position (int64), then R and T.

    T is the larger of the longest example and the fullest row, never above ``capacity`` unless one example alone is.
    """
    rows, starts, n_rows = first_fit(lengths, max([capacity, *lengths]))
    return rows, starts, max(1, n_rows), int(max([1, *(starts + np.asarray(lengths, np.int64))]))


def block_mask(segments_RT: torch.Tensor) -> torch.Tensor:
    """Which position may attend to which: same segment, not later; bool (R, 1, T, T), true where it may."""
    return own_past(segments_RT)[:, None]

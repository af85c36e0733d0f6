"""Several examples in one row: no padding worth the name, and no example sees another.

R rows, T positions a row.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from semconv.artifacts.ragged import Int64

PADDING = 0
"""Segment number of positions that hold nothing; examples are numbered from 1 within their row."""


def pack(lengths: Sequence[int], capacity: int) -> tuple[Int64, Int64, int, int]:
    """Where each example goes, best-fit decreasing: its row and first position (int64), then R and T.

    T is the larger of the longest example and the fullest row, never above ``capacity`` unless one example alone is.
    """
    rows = np.zeros(len(lengths), np.int64)
    starts = np.zeros(len(lengths), np.int64)
    capacity = max([capacity, *lengths])
    by_room: list[list[int]] = [[] for _ in range(capacity + 1)]
    fills: list[int] = []
    for example in np.argsort(-np.asarray(lengths, np.int64), kind="stable"):
        length = lengths[example]
        room = next((room for room in range(length, capacity + 1) if by_room[room]), None)
        if room is None:
            row = len(fills)
            fills.append(0)
        else:
            row = by_room[room].pop()
        rows[example], starts[example] = row, fills[row]
        fills[row] += length
        by_room[capacity - fills[row]].append(row)
    return rows, starts, max(1, len(fills)), max([1, *fills])


def block_mask(segments_RT: torch.Tensor) -> torch.Tensor:
    """Which position may attend to which: same segment, not later; bool (R, 1, T, T), true where it may."""
    same_RTT = segments_RT[:, :, None] == segments_RT[:, None, :]
    return torch.tril(same_RTT)[:, None]

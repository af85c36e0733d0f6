"""Many short sequences in few rows, so that no arithmetic is spent on padding and no sequence sees another.

R rows, T positions a row.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

Int64 = npt.NDArray[np.int64]


def first_fit(lengths: Int64 | Sequence[int], width: int) -> tuple[Int64, Int64, int]:
    """Place sequences of at most ``width`` by first fit, longest first: row and first column of each, and R."""
    lengths = np.asarray(lengths, np.int64)
    rows, columns = np.zeros(len(lengths), np.int64), np.zeros(len(lengths), np.int64)
    used: list[int] = []
    first_open = 0
    for sequence in np.argsort(-lengths, kind="stable"):
        length = int(lengths[sequence])
        while first_open < len(used) and used[first_open] == width:
            first_open += 1
        row = next((r for r in range(first_open, len(used)) if used[r] + length <= width), len(used))
        if row == len(used):
            used.append(0)
        rows[sequence], columns[sequence] = row, used[row]
        used[row] += length
    return rows, columns, len(used)


def spread(lengths: Int64 | Sequence[int], rows: int) -> tuple[Int64, Int64]:
    """Place sequences in ``rows`` rows of about equal sums: row and first column of each.

    The longest first, each where least lies (Graham 1969: the fullest row is at most 4/3 of the best one). A row stays
    empty only where there are fewer sequences than rows.
    """
    lengths = np.asarray(lengths, np.int64)
    chosen, columns = np.zeros(len(lengths), np.int64), np.zeros(len(lengths), np.int64)
    loads = [(0, row) for row in range(rows)]
    for sequence in np.argsort(-lengths, kind="stable"):
        load, row = loads[0]
        chosen[sequence], columns[sequence] = row, load
        heapq.heapreplace(loads, (load + int(lengths[sequence]), row))
    return chosen, columns


def own_past(segments_RT: torch.Tensor) -> torch.Tensor:
    """Which position may attend to which: same segment number, not later; bool (R, T, T), true where it may."""
    return torch.tril(segments_RT[:, :, None] == segments_RT[:, None, :])

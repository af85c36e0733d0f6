"""Items by what their codes begin with. Legend: N items, L levels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Int64 = npt.NDArray[np.int64]


def prefix_ids(codes_NL: npt.NDArray[np.integer], length: int) -> Int64:
    """Number of every item's prefix of ``length`` codes, int64 (N): dense from 0, in lexicographic order."""
    ids_N = np.zeros(len(codes_NL), np.int64)
    for codes_N in codes_NL.T[:length].astype(np.int64):
        _, ids_N = np.unique(ids_N * (codes_N.max(initial=0) + 1) + codes_N, return_inverse=True)
    return ids_N


def rows_by_id(ids_N: Int64, many: int) -> tuple[Int64, Int64]:
    """Rows in the order of their ids, int64 (N), and where those of each id start, int64 (``many`` + 1).

    The rows of id i are ``order[starts[i] : starts[i + 1]]``, in their own order; ids lie in [0, ``many``).
    """
    starts = np.concatenate([[0], np.cumsum(np.bincount(ids_N, minlength=many))])
    return np.argsort(ids_N, kind="stable"), starts.astype(np.int64)


def ranks_within(ids_N: Int64) -> Int64:
    """Place of every item among those of its id, counted from 0 in item order, int64 (N)."""
    order_N, starts = rows_by_id(ids_N, int(ids_N.max(initial=-1)) + 1)
    ranks_N = np.empty_like(ids_N)
    ranks_N[order_N] = np.arange(len(ids_N)) - starts[ids_N[order_N]]
    return ranks_N

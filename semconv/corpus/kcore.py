"""The k-core of the user-item graph."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from semconv.artifacts.ragged import Int32, Int64


def k_core(users: Int32, items: Int32, k: int) -> Int64:
    """Indices, in order, of the interactions left when users and items with fewer than ``k`` are removed until none is.

    The result is the largest set in which every user and every item has at least ``k`` interactions, so it does not
    depend on the order of removal (Seidman 1983). Each round costs time in proportion to the rows that remain.
    """
    kept: Int64 = np.arange(len(users), dtype=np.int64)
    if k <= 1:
        return kept
    while len(kept):
        enough = _frequent(users, k) & _frequent(items, k)
        if enough.all():
            break
        kept, users, items = kept[enough], users[enough], items[enough]
    return kept


def _frequent(codes: Int32, k: int) -> npt.NDArray[np.bool_]:
    return np.asarray((np.bincount(codes) >= k)[codes])

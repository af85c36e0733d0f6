"""Ranking metrics of a leave-one-out test, all of them functions of one number per user: the rank of the target.

U users, K items ranked per user, M metrics. A user's target is one item; its rank counts from 1, and `MISS` stands
for a target that is not among the K. Everything additive over users is then a histogram of ranks times a table of
gains, which keeps means exact and bootstrap resamples cheap.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from semconv.artifacts.ragged import Int32, Int64

MISS = 0
"""Rank of a target that was not recommended."""

Float64 = npt.NDArray[np.float64]


def hit_ranks(items_UK: Int32, targets_U: Int32) -> Int32:
    """Rank of every user's target in the user's ranking: int32 (U,), 1 for the first place, `MISS` where absent.

    Hits are item-level: the recommended item is the target itself, not another item with the same codes or title.
    """
    hits_UK = items_UK == targets_U[:, None]
    return np.where(hits_UK.any(axis=1), hits_UK.argmax(axis=1) + 1, MISS).astype(np.int32)


def histogram(ranks_U: Int32, depth: int) -> Int64:
    """Users whose target has rank 1, 2, .. ``depth``: int64 (depth,). Misses are the rest of the U users."""
    return np.bincount(ranks_U, minlength=depth + 1)[1 : depth + 1].astype(np.int64)


def metric_names(cutoffs: Sequence[int]) -> list[str]:
    """Names of the additive metrics, in the order of `gains`."""
    return [f"{metric}@{k}" for k in cutoffs for metric in ("recall", "ndcg", "mrr")]


def gains(cutoffs: Sequence[int], depth: int) -> Float64:
    """What a hit at rank 1, 2, .. ``depth`` is worth under each metric of `metric_names`: float64 (depth, M).

    With one relevant item Recall@k is 1 within the cut-off, NDCG@k is 1 / log2(rank + 1) (Järvelin & Kekäläinen
    2002; the ideal ranking has gain 1) and MRR@k is 1 / rank. Raises `ValueError` where a cut-off exceeds the depth.
    """
    if max(cutoffs) > depth:
        raise ValueError(f"a cut-off of {max(cutoffs)} needs rankings at least that deep, not {depth}")
    rank_K = np.arange(1, depth + 1, dtype=np.float64)
    columns = []
    for k in cutoffs:
        within_K = rank_K <= k
        columns += [within_K.astype(np.float64), within_K / np.log2(rank_K + 1), within_K / rank_K]
    return np.stack(columns, axis=1)


def weighted(histogram_K: Int64, gains_KM: Float64, users: int) -> Float64:
    """Means over all users, misses included: histograms int64 (.., K) to metrics float64 (.., M)."""
    metrics: Float64 = np.einsum("...k,km->...m", histogram_K.astype(np.float64), gains_KM) / users
    return metrics


def recall_curve(ranks_U: Int32, depth: int) -> Float64:
    """Recall at 1, 2, .. ``depth``: float64 (depth,)."""
    return np.cumsum(histogram(ranks_U, depth)) / len(ranks_U)

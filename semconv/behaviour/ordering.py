"""The one order of scored items: by score, equal scores by training count, equal counts by item index."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from semconv.artifacts.ragged import NO_ITEM, Int32, Ragged

__all__ = ["NO_ITEM", "tie_rank", "top_k"]

_EXCLUDED = torch.iinfo(torch.int64).min


def tie_rank(counts_N: torch.Tensor) -> torch.Tensor:
    """Place of every item among equals, int64 (N,): most training interactions first, then lowest index."""
    order_N = torch.sort(counts_N, descending=True, stable=True).indices
    rank_N = torch.empty_like(order_N)
    rank_N[order_N] = torch.arange(len(order_N), device=order_N.device)
    return rank_N


def top_k(
    scores: torch.Tensor, k: int, counts: torch.Tensor, exclude: Sequence[Int32] | None = None
) -> tuple[Int32, npt.NDArray[np.float32]]:
    """The best ``k`` items of each row of ``scores`` (B, N), best first, ties broken as `tie_rank` has it, exactly.

    ``counts`` (N,) are training counts. ``exclude`` names, per row, items that must not appear. Returns items
    int32 (B, k) and their scores float32 (B, k); `NO_ITEM` and -inf where fewer than k items are legal. Raises
    `ValueError` on NaN.
    """
    scores_BN = scores.float() + 0.0  # adding zero makes -0.0 equal to 0.0 in its bits too
    if scores_BN.isnan().any():
        raise ValueError("scores hold NaN, which has no place in an order")
    n_rows, n_items = scores_BN.shape
    # Positive floats order as their bits do, negative ones the other way round. Score above, tie rank below: every
    # key of a row is unique, so an ordinary top k of integers is exact.
    bits_BN = scores_BN.view(torch.int32)
    ordered_BN = torch.where(bits_BN < 0, bits_BN ^ 0x7FFFFFFF, bits_BN).to(torch.int64)
    keys_BN = (ordered_BN << 32) + (n_items - 1 - tie_rank(counts.to(scores_BN.device)))
    if exclude is not None:
        barred = Ragged.of(exclude)
        rows = torch.from_numpy(np.repeat(np.arange(n_rows), barred.lengths))
        keys_BN[rows, torch.from_numpy(barred.values.astype(np.int64))] = _EXCLUDED
    best = torch.topk(keys_BN, min(k, n_items), dim=1)
    legal_BK = best.values != _EXCLUDED
    items = np.full((n_rows, k), NO_ITEM, np.int32)
    values = np.full((n_rows, k), -np.inf, np.float32)
    width = best.indices.shape[1]
    items[:, :width] = best.indices.masked_fill(~legal_BK, NO_ITEM).cpu().numpy()
    values[:, :width] = scores_BN.gather(1, best.indices).masked_fill(~legal_BK, float("-inf")).cpu().numpy()
    return items, values

"""Even use of the codes: a price for every code, such that items which weigh cost and price spread evenly.

Assigning items to codes at least cost, with an equal share of items for every code, is optimal transport; Sinkhorn's
iterations solve it with an entropic term (Cuturi 2013), and LC-Rec (Zheng et al., arXiv 2311.09049, its uniform
semantic mapping) gives the last level of an index out so. Kept here are the prices alone (the dual variables of the
codes): they give the same codes to the items they were found on, and codes to items that come later.

Legend: S items, C codes.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.nn import functional as F

SAMPLE = 65_536
"""Items that the prices are found on, at most."""
SAMPLE_BYTES = 2**29
"""Their costs, C float64 an item, at most; finding the prices holds a few times as much."""
ITERATIONS = 100
_SHARPNESS = (1.0, 0.01)
"""Entropic term at the first and at the last iteration, in units of the mean cost above an item's cheapest code."""


def sample_size(codes: int) -> int:
    """Items that the prices of so many codes are found on, at most: `SAMPLE`, or fewer from 1,025 codes on."""
    return max(1, min(SAMPLE, SAMPLE_BYTES // (8 * codes)))


def even_prices(costs_SC: torch.Tensor, iterations: int = ITERATIONS) -> torch.Tensor:
    """Prices, float32 (C,): ``(costs + prices).argmin(1)`` gives every code nearly ``S / C`` of the items.

    Items of the same costs cannot be told apart by any price and go together. The entropic term falls from iteration
    to iteration, so that the last prices are almost those of the assignment without it.
    """
    excess_SC = (costs_SC - costs_SC.min(dim=1, keepdim=True).values).double()
    scale = float(excess_SC.mean())
    prices_C = excess_SC.new_zeros(costs_SC.shape[1])
    if scale == 0:
        return prices_C.float()
    share = math.log(len(costs_SC) / costs_SC.shape[1])
    first, last = _SHARPNESS
    for iteration in range(iterations):
        sharpness = scale * first * (last / first) ** (iteration / max(iterations - 1, 1))
        taken_SC = F.log_softmax(-(excess_SC + prices_C) / sharpness, dim=1)
        prices_C = prices_C + sharpness * (taken_SC.logsumexp(dim=0) - share)
    return (prices_C - prices_C.min()).float()


def even_choice(scores: torch.Tensor, dim: int = -1, **_: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Codes int64 (1, B) and their one-hot rows (1, B, C) for negative distances (1, B, C), evenly used in the batch.

    Takes the place of the nearest code in a codebook of vector-quantize-pytorch, which passes more than is needed.
    """
    costs_BC = scores[0].detach().square()
    codes_B = (costs_BC + even_prices(costs_BC, iterations=30).to(costs_BC)).argmin(dim=1)
    one_hot_BC = F.one_hot(codes_B, scores.shape[dim]).to(scores.dtype)
    return codes_B[None], one_hot_BC[None]

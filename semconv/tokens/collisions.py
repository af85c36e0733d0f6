"""Items that share all their codes, told apart by the last one, at the least cost in quantisation error.

Legend: N items, L levels, C codes per level, G items of one group.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment

from semconv.tokens.quantizer import Quantizer


def resolve_collisions(quantizer: Quantizer, vectors_ND: torch.Tensor, codes_NL: torch.Tensor) -> torch.Tensor:
    """Codes with the last level reassigned wherever items collided, int64 (N, L).

    The items that share all codes but the last are a group. In a group without a collision nothing changes. In one
    with at most C items every item gets a last code of its own, by the assignment that adds the least squared error
    over the group (Kuhn 1955). A larger group cannot be told apart by one code: C of its items are spread so, and the
    rest keep their nearest code and go on sharing it. Deterministic.
    """
    resolved = codes_NL.clone()
    for group_G in colliding_groups(codes_NL):
        costs_GC = quantizer.last_level_costs(vectors_ND[group_G], codes_NL[group_G]).double().numpy()
        members, last_codes = linear_sum_assignment(costs_GC)
        resolved[group_G[members], -1] = torch.from_numpy(last_codes)
    return resolved


def colliding_groups(codes_NL: torch.Tensor) -> list[torch.Tensor]:
    """Item indices, int64 (G,), of every group of equal codes but the last in which two items share the last too."""
    _, prefix_N = np.unique(codes_NL[:, :-1].numpy(), axis=0, return_inverse=True)
    order = np.argsort(prefix_N, kind="stable")
    bounds = np.flatnonzero(np.diff(prefix_N[order])) + 1
    groups = [torch.from_numpy(group) for group in np.split(order, bounds)]
    return [group for group in groups if len(np.unique(codes_NL[group, -1].numpy())) < len(group)]

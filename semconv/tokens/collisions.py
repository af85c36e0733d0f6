"""Items that share all their codes, told apart: by the last code at the least error, by one code more, or not.

Legend: N items, L levels, C codes per level, G items that collide or share their prefix with such, T items that have
their codes for good, A items and these together, K groups, M items of a group, R last codes that are free.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch

from semconv.tokens.overflow import spread_overflow
from semconv.tokens.prefixes import Int64, prefix_ids, ranks_within, rows_by_id
from semconv.tokens.quantizer import Quantizer

Resolver = Literal["reassign", "extra", "none"]

BLOCK_BYTES = 2**25
"""Costs in memory at once, about, C float64 an item: 16,384 items at 256 codes. A group is never cut."""


def resolve_collisions(
    quantizer: Quantizer,
    vectors_ND: torch.Tensor,
    codes_NL: torch.Tensor,
    how: Resolver = "reassign",
    taken_TL: torch.Tensor | None = None,
) -> torch.Tensor:
    """Codes after the resolver's work, int64: (N, L), or (N, L + 1) by ``extra``. Deterministic.

    ``taken_TL`` are the codes of other items, int64, as wide as those that come back. They stay as they are.

    ``reassign``  last codes are dealt anew wherever items collided; no two items share a tuple, nor does one have a
                  taken tuple, while there are C ** L tuples for all.
                  The items of one prefix of L - 1 codes are a group. A group without a collision is left as it is. In
                  one with a collision every item gets a last code of its own, by the assignment that adds the least
                  squared error over the group (Kuhn 1955). Groups of more items than free codes first give some away to
                  neighbouring prefixes, see `spread_overflow`. Beyond C ** L items the rest share.
    ``extra``     one level more, which numbers the members of a tuple in item order, those that are taken first
                  (TIGER, Rajput et al. 2023); a member past the C-th starts from 0 again and shares.
    ``none``      items go on sharing; the trie holds them all and ranks them.
    """
    if how == "none":
        return codes_NL.clone()
    if taken_TL is None:
        taken_TL = codes_NL.new_empty(0, codes_NL.shape[1] + (how == "extra"))
    if how == "extra":
        all_codes = np.concatenate([taken_TL[:, :-1].numpy(), codes_NL.numpy()])
        numbers_N = ranks_within(prefix_ids(all_codes, codes_NL.shape[1]))[len(taken_TL) :]
        return torch.cat([codes_NL, torch.from_numpy(numbers_N % quantizer.codebooks.shape[1])[:, None]], dim=1)
    taken_TL = torch.unique(taken_TL, dim=0)
    resolved_NL = spread_overflow(quantizer, vectors_ND, codes_NL, taken_TL)
    members_G, starts = colliding_groups(resolved_NL, taken_TL)
    free = _free_last_codes(resolved_NL, taken_TL, members_G[starts[:-1]], quantizer.codebooks.shape[1])
    last = codes_NL.shape[1] - 1
    for first, end in _blocks(starts, max(1, BLOCK_BYTES // (8 * quantizer.codebooks.shape[1]))):
        block_G = torch.from_numpy(members_G[starts[first] : starts[end]])
        costs_GC = quantizer.level_costs(vectors_ND[block_G], resolved_NL[block_G], last).double().cpu().numpy()
        codes_G = resolved_NL[block_G, -1].numpy()
        bounds = (starts[first : end + 1] - starts[first]).tolist()
        for start, stop in pairwise(bounds):
            open_R = next(free)
            rows, columns = least_assignment(costs_GC[start:stop, open_R])
            codes_G[start + rows] = open_R[columns]
        resolved_NL[block_G, -1] = torch.from_numpy(codes_G)
    return resolved_NL


def least_assignment(costs_MR: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Rows and columns, min(M, R) pairs, no row or column twice, at the least sum of costs; rows ascend.

    Equal rows, as of items that are copies of each other, take the cheapest columns in order, the first of equals
    first: the optimum too, and where the general algorithm is slowest, for it searches all ties again for every row.
    """
    from scipy.optimize import linear_sum_assignment

    if not (costs_MR == costs_MR[0]).all():
        return linear_sum_assignment(costs_MR)
    columns = np.argsort(costs_MR[0], kind="stable")[: len(costs_MR)]
    return np.arange(len(columns)), columns


def colliding_groups(codes_NL: torch.Tensor, taken_TL: torch.Tensor | None = None) -> tuple[Int64, Int64]:
    """Items of the groups in which two share all codes: int64 (G), group after group, and where each group starts.

    A group holds all items of one prefix of L - 1 codes; one whose item has a taken tuple, of which no two are the
    same, is among them. ``starts`` ends with G.
    """
    codes, levels = codes_NL.numpy(), codes_NL.shape[1]
    group_N = prefix_ids(codes, levels - 1)
    tuple_A = prefix_ids(codes if taken_TL is None else np.concatenate([codes, taken_TL.numpy()]), levels)
    tuple_N = tuple_A[: len(codes)]
    collides_N = np.bincount(tuple_A)[tuple_N] > 1
    broken = np.zeros(int(group_N.max(initial=-1)) + 1, bool)
    broken[group_N[collides_N]] = True
    members = np.flatnonzero(broken[group_N])
    members = members[np.argsort(group_N[members], kind="stable")]
    sizes = np.unique(group_N[members], return_counts=True)[1]
    return members, np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)


def _free_last_codes(
    codes_NL: torch.Tensor, taken_TL: torch.Tensor, heads_K: Int64, codes: int
) -> Iterator[npt.NDArray[np.intp]]:
    """For each of the items ``heads_K`` in turn, the last codes that are not taken under its prefix, ascending."""
    every_C = np.arange(codes)
    prefix_A = prefix_ids(np.concatenate([codes_NL.numpy(), taken_TL.numpy()]), codes_NL.shape[1] - 1)
    order_T, starts = rows_by_id(prefix_A[len(codes_NL) :], int(prefix_A.max(initial=-1)) + 1)
    lasts_T = taken_TL[:, -1].numpy()[order_T]
    for prefix in prefix_A[heads_K].tolist():
        yield np.delete(every_C, lasts_T[starts[prefix] : starts[prefix + 1]])


def _blocks(starts: Int64, items: int) -> Iterator[tuple[int, int]]:
    """Runs of whole groups, as (first, last) places in ``starts``, of at most ``items`` items where groups allow."""
    first = 0
    while first < len(starts) - 1:
        last = max(first + 1, int(np.searchsorted(starts, starts[first] + items, side="right")) - 1)
        yield first, last
        first = last

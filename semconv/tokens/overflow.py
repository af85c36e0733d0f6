"""Prefixes under which more items lie than tuples, relieved: some of the items move to a neighbouring prefix.

A prefix of l codes has room for C ** (L - l) items, less the tuples under it that are taken. From the first level to
the last but one, wherever a prefix holds more, items move to siblings with room: prefixes that differ in their last
code alone. All siblings together have room for whatever their parent holds, so that in the end no prefix holds too
many unless there are more items than tuples.

Legend: N items, L levels, C codes per level, Z width of the quantised space, M items under one parent, K classes of
identical items, R siblings with room, T tuples that are taken, A items and taken tuples together.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush

import numpy as np
import numpy.typing as npt
import torch

from semconv.tokens.kmeans import assign
from semconv.tokens.prefixes import Int64, prefix_ids, rows_by_id
from semconv.tokens.quantizer import Quantizer

Float32 = npt.NDArray[np.float32]
BLOCK = 16_384


def spread_overflow(
    quantizer: Quantizer, vectors_ND: torch.Tensor, codes_NL: torch.Tensor, taken_TL: torch.Tensor | None = None
) -> torch.Tensor:
    """A copy of the codes, int64 (N, L), in which no prefix holds more items than there are tuples under it.

    Tuples of ``taken_TL``, int64 (T, L), no two the same, count as full.
    Moves are made one after another, always the one that adds least of all that are left. What a move adds is counted
    at its level: the cost (`Quantizer.level_costs`) of the sibling's code less that of the item's own. Below it the
    item is encoded anew. Of identical items those with the highest index move first; equal errors are ordered by
    item, then by code. Greedy: each move is the cheapest at its time, the sum need not be the least. Last codes may
    collide afterwards.
    """
    codes_NL = codes_NL.clone()
    levels, codes = quantizer.codebooks.shape[:2]
    taken = np.empty((0, levels), np.int64) if taken_TL is None else taken_TL.numpy()
    many = len(codes_NL)
    for level in range(levels - 1):
        capacity = codes ** (levels - level - 1)
        if many + len(taken) <= capacity:
            continue
        all_codes = np.concatenate([codes_NL.numpy(), taken])
        child_A, parent_A = prefix_ids(all_codes, level + 1), prefix_ids(all_codes, level)
        crowded_N = np.bincount(child_A)[child_A[:many]] > capacity
        parents = int(parent_A.max(initial=-1)) + 1
        order_N, starts = rows_by_id(parent_A[:many], parents)
        order_T, taken_starts = rows_by_id(parent_A[many:], parents)
        for parent in np.unique(parent_A[:many][crowded_N]).tolist():
            members_M = order_N[starts[parent] : starts[parent + 1]]
            taken_here = taken[order_T[taken_starts[parent] : taken_starts[parent + 1]], level]
            family = _Family(quantizer, vectors_ND[members_M], codes_NL[members_M], level)
            codes_NL[members_M] = family.relieved(capacity - np.bincount(taken_here, minlength=codes))
    return codes_NL


class _Family:
    """The items under one prefix of ``level`` codes: vectors (M, D), codes (M, L)."""

    def __init__(self, quantizer: Quantizer, vectors_MD: torch.Tensor, codes_ML: torch.Tensor, level: int) -> None:
        self._quantizer, self._codebooks, self._level = quantizer, quantizer.codebooks, level
        self._vectors_MD, self._codes_ML = vectors_MD, codes_ML
        above = zip(self._codebooks[:level], codes_ML.T, strict=False)
        self._residual_MZ = quantizer.latents(vectors_MD) - sum(
            (book_CZ[codes_M] for book_CZ, codes_M in above), torch.zeros(1)
        )

    def relieved(self, capacity_C: Int64) -> torch.Tensor:
        """The codes after items have moved until no child holds more than its capacity, or none has room."""
        code_M = self._codes_ML[:, self._level].numpy()
        sizes_C = np.bincount(code_M, minlength=self._codebooks.shape[1])
        room_C, excess_C = (np.maximum(gap, 0).tolist() for gap in (capacity_C - sizes_C, sizes_C - capacity_C))
        open_R = np.flatnonzero(room_C)
        classes = self._identical(np.flatnonzero((sizes_C > capacity_C)[code_M])) if len(open_R) else []
        sources = [int(code_M[members[0]]) for members in classes]
        added_KR = self._added(np.asarray([members[0] for members in classes], np.int64), open_R)
        waiting = [(float(row_R.min()), k, 0) for k, row_R in enumerate(added_KR)]
        heapify(waiting)
        orders: dict[int, Int64] = {}
        moved_to: dict[int, int] = {}
        while waiting:
            _, k, place = heappop(waiting)
            nearest = int(added_KR[k].argmin()) if place == 0 else int(orders[k][place])
            source, target = sources[k], int(open_R[nearest])
            many = min(len(classes[k]), excess_C[source], room_C[target])
            if many:
                moved_to |= dict.fromkeys(classes[k][-many:].tolist(), target)
                classes[k] = classes[k][:-many]
                excess_C[source] -= many
                room_C[target] -= many
            if len(classes[k]) and excess_C[source] and place + 1 < len(open_R):
                if k not in orders:  # most never need a second choice, and sorting all takes most of the time
                    orders[k] = np.argsort(added_KR[k], kind="stable")
                heappush(waiting, (float(added_KR[k, orders[k][place + 1]]), k, place + 1))
        return self._encoded(moved_to)

    def _identical(self, members_M: Int64) -> list[Int64]:
        """The members in classes of equal latents and codes, each in item order, classes by their first item."""
        parts = (self._residual_MZ[members_M].numpy(), self._codes_ML[members_M].numpy())
        words_MW = np.concatenate([part.view(np.uint32) for part in parts], axis=1)
        _, first, class_M = np.unique(_hashes(words_MW), return_index=True, return_inverse=True)
        order = np.argsort(class_M, kind="stable")
        classes = np.split(members_M[order], np.cumsum(np.bincount(class_M))[:-1])
        return [classes[k] for k in np.argsort(first)]

    def _added(self, members_K: Int64, open_R: Int64) -> Float32:
        """What a move to each sibling with room adds, float32 (K, R)."""
        codes_KL = self._codes_ML[members_K]
        errors_KC = self._quantizer.level_costs(self._vectors_MD[members_K], codes_KL, self._level)
        own_K1 = errors_KC.gather(1, codes_KL[:, self._level, None])
        return (errors_KC[:, open_R] - own_K1).numpy()

    def _encoded(self, moved_to: dict[int, int]) -> torch.Tensor:
        codes_ML = self._codes_ML.clone()
        moved = torch.tensor(list(moved_to), dtype=torch.long)
        codes_ML[moved, self._level] = torch.tensor(list(moved_to.values()), dtype=torch.long)
        residual_KZ = self._residual_MZ[moved]
        for level in range(self._level, len(self._codebooks)):
            book_CZ = self._codebooks[level]
            if level > self._level:
                codes_ML[moved, level] = assign(residual_KZ, book_CZ)[0]
            residual_KZ = residual_KZ - book_CZ[codes_ML[moved, level]]
        return codes_ML


def _hashes(words_MW: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint64]:
    """One number a row, equal for equal rows.

    Sorting rows as a whole takes a minute for a million. Two rows that clash are priced as one, no worse.
    """
    odd_W = np.random.default_rng(0).integers(0, 2**63, words_MW.shape[1], np.uint64) * np.uint64(2) + np.uint64(1)
    sums = [(words_MW[start : start + BLOCK] * odd_W).sum(axis=1) for start in range(0, len(words_MW), BLOCK)]
    return np.concatenate([np.zeros(0, np.uint64), *sums])

"""Whether items that are near in a space are near in codes.

Near in codes is, first, the longer the common prefix, the nearer: that is how a trie is walked and a model reads codes.
Prefixes alone leave many ties: with 256 even codes a level, the 47 items of a first code of 12,000 hardly share a
second. Two figures are therefore given, both defined for the codes of any tokenizer.

prefixes   a tie is not broken but averaged over: recall is what random order within ties gives in expectation.
codes      a tie goes to the item whose codes stand for a nearer point, each code standing for the mean of what the
           codes before it leave over of its items (`points_of`), in the space in question. This is what a model that
           adds up code embeddings could learn of the neighbourhood. Items of one tuple stay tied and are averaged over.

Neither is gained by lumping all items together, which gives Q of the N - 1 others. Setting them apart at random gives
little more as long as levels have far fewer codes than there are items; a code for every item, on one level, says the
vector itself and makes the figure ``codes`` 1. So compare indexes whose levels have about as many codes. The points are
fitted to each index alike, so that one whose codebooks are not known loses nothing.

Legend: N items of which n have the modality, D width, S sampled items, Q nearest neighbours, L levels, U distinct
tuples.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from semconv.artifacts.ragged import Int32
from semconv.tokens.kmeans import squared_distances
from semconv.tokens.prefixes import Int64, prefix_ids

AT = 10
BLOCK = 256


@dataclass(frozen=True)
class Neighbours:
    """Of S sampled items, the nearest others in a space, by cosine, all numbered among the n that have the modality.

    ``has``: which items take part, bool (N); ``unit`` their vectors at length one, float32 (n, D); ``asked`` int64 (S),
    ``nearest`` int64 (S, Q), Q = `AT` or as many as there are.
    """

    has: npt.NDArray[np.bool_]
    unit: torch.Tensor
    asked: Int64
    nearest: Int64

    @classmethod
    def find(cls, vectors_ND: torch.Tensor, has_N: torch.Tensor, sample: int, seed: int) -> Neighbours:
        """The neighbours of at most ``sample`` items drawn by ``seed``."""
        unit_nD = torch.nn.functional.normalize(vectors_ND[has_N].float(), dim=1)
        asked_S = np.sort(np.random.default_rng(seed).permutation(len(unit_nD))[:sample])
        most = min(AT, max(len(unit_nD) - 1, 0))
        nearest = [np.zeros((0, most), np.int64)]
        for start in range(0, len(asked_S), BLOCK):
            rows = torch.from_numpy(asked_S[start : start + BLOCK])
            cosine = unit_nD[rows] @ unit_nD.T
            cosine[torch.arange(len(rows)), rows] = -torch.inf
            nearest.append(cosine.topk(most, dim=1).indices.numpy())
        return cls(has_N.numpy(), unit_nD, asked_S, np.concatenate(nearest))


@dataclass(frozen=True)
class Preservation:
    """Share of an item's nearest neighbours among as many nearest in codes, mean over the sample; see the module."""

    prefixes: float
    codes: float


def preservation(codes_NL: Int32, neighbours: Neighbours) -> Preservation | None:
    """How much of the neighbourhoods the codes keep; None in a space of fewer than two items."""
    asked_S, nearest_SQ = neighbours.asked, neighbours.nearest
    if not nearest_SQ.size:
        return None
    codes_nL = codes_NL[neighbours.has]
    ids = [torch.from_numpy(prefix_ids(codes_nL, length)) for length in range(1, codes_nL.shape[1] + 1)]
    tuple_n = ids[-1]
    points_nD = points_of(codes_nL, neighbours.unit)
    points_UD = torch.zeros(int(tuple_n.max()) + 1, points_nD.shape[1]).index_copy_(0, tuple_n, points_nD)
    found = torch.zeros(2, dtype=torch.float64)
    for start in range(0, len(asked_S), BLOCK):
        rows = torch.from_numpy(asked_S[start : start + BLOCK])
        nearest_BQ = torch.from_numpy(nearest_SQ[start : start + BLOCK])
        common_Bn = torch.stack([id_n[rows, None] == id_n for id_n in ids]).sum(dim=0).double()
        common_Bn[torch.arange(len(rows)), rows] = -torch.inf
        # Once a tuple, not once an item: equal points must be equally far to the last bit.
        apart_BU = squared_distances(points_UD[tuple_n[rows]], points_UD).double()
        closer_BU = -apart_BU / (apart_BU.max() * 1.001).clamp(min=1e-30)
        found[0] += _recalled(common_Bn, nearest_BQ)
        found[1] += _recalled(common_Bn + closer_BU[:, tuple_n], nearest_BQ)
    return Preservation(*(found / nearest_SQ.size).tolist())


def points_of(codes_nL: Int32, vectors_nD: torch.Tensor) -> torch.Tensor:
    """What codes stand for in a space, float32 (n, D): level by level, the mean of what is left of a code's items."""
    points_nD = torch.zeros_like(vectors_nD)
    for codes_n in torch.from_numpy(codes_nL).long().T:
        sizes_C = torch.bincount(codes_n)
        sums_CD = torch.zeros(len(sizes_C), vectors_nD.shape[1]).index_add_(0, codes_n, vectors_nD - points_nD)
        points_nD = points_nD + (sums_CD / sizes_C.clamp(min=1)[:, None])[codes_n]
    return points_nD


def _recalled(scores_Bn: torch.Tensor, wanted_BQ: torch.Tensor) -> torch.Tensor:
    """Wanted items among the Q with the highest scores, summed over B; of ties at the Q-th place, in expectation."""
    most = wanted_BQ.shape[1]
    least_B1 = scores_Bn.topk(most, dim=1).values[:, -1:]
    above_B = (scores_Bn > least_B1).sum(dim=1)
    tied_B = (scores_Bn == least_B1).sum(dim=1)
    wanted_scores_BQ = scores_Bn.gather(1, wanted_BQ)
    sure_B = (wanted_scores_BQ > least_B1).sum(dim=1)
    maybe_B = (wanted_scores_BQ == least_B1).sum(dim=1)
    return (sure_B + maybe_B * (most - above_B) / tied_B).sum()

"""What a ranking does apart from finding the target: how much of the catalogue it shows, how evenly, how far from what
everybody knows, and how different the items of one list are.

None of these is better for being larger or smaller, and none has an interval: they describe a system.
U users, K items ranked per user, N items, D width of text vectors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from semconv.artifacts.ragged import Int32, Int64
from semconv.recommend.ranker import NO_ITEM

Float32 = npt.NDArray[np.float32]

BEYOND = ("coverage", "gini", "novelty", "diversity")
BLOCK_USERS = 1024


@dataclass(frozen=True)
class Catalogue:
    """What is known of the items: training interactions ``counts_N``, int64 (N,), and text vectors ``text_ND``,
    float32 (N, D), of unit length, or zero where an item has no text.
    """

    counts_N: Int64
    text_ND: Float32

    @classmethod
    def of(cls, training: Int32, text_ND: Float32) -> Catalogue:
        """Of the items of all training interactions, int32 in any order, and text vectors of any length."""
        lengths_N = np.linalg.norm(text_ND, axis=1, keepdims=True)
        unit_ND = np.divide(text_ND, lengths_N, out=np.zeros_like(text_ND), where=lengths_N > 0)
        return cls(np.bincount(training, minlength=len(text_ND)).astype(np.int64), unit_ND)

    @property
    def n_items(self) -> int:
        """Items in the catalogue, N."""
        return len(self.counts_N)


def beyond_accuracy(items_UK: Int32, cutoffs: Sequence[int], catalogue: Catalogue) -> dict[str, float]:
    """Every figure at every cut-off, as ``gini@10``; one that is not defined is left out, as diversity@1 is."""
    figures: dict[str, float | None] = {}
    for k in cutoffs:
        shown_N = exposure(items_UK[:, :k], catalogue.n_items)
        figures[f"coverage@{k}"] = float(np.count_nonzero(shown_N) / catalogue.n_items)
        figures[f"gini@{k}"] = gini(shown_N)
        figures[f"novelty@{k}"] = novelty(items_UK[:, :k], catalogue.counts_N)
    for k, value in diversity(items_UK, cutoffs, catalogue.text_ND).items():
        figures[f"diversity@{k}"] = value
    return {name: value for name, value in figures.items() if value is not None}


def exposure(items_UK: Int32, n_items: int) -> Int64:
    """How often each item of the catalogue is recommended: int64 (N,)."""
    return np.bincount(items_UK[items_UK != NO_ITEM], minlength=n_items).astype(np.int64)


def gini(shown_N: Int64) -> float | None:
    """Gini index of how often items are recommended, over the whole catalogue, never-recommended items included.

    0 when all items appear equally often, 1 - 1/N when one item takes every place; None where nothing is recommended.
    As an index of recommended items: Fleder & Hosanagar 2009.
    """
    total, n = int(shown_N.sum()), len(shown_N)
    if total == 0:
        return None
    place_N = 2 * np.arange(1, n + 1) - n - 1
    return float(np.sum(place_N * np.sort(shown_N)) / (n * total))


def novelty(items_UK: Int32, counts_N: Int64) -> float | None:
    """Mean self-information of the recommended items in bits: -log2 of an item's share of training interactions.

    Zhou et al. 2010; the expected free discovery of Vargas & Castells 2011. One interaction is added to every item, so
    that one without any has a finite value. The mean of each user's list, then over the users with a list.
    """
    bits_N = -np.log2((counts_N + 1) / (counts_N.sum() + len(counts_N)))
    # `NO_ITEM` is -1, which reads the entry behind the last item.
    sum_U = np.append(bits_N, 0.0)[items_UK].sum(axis=1)
    length_U = np.count_nonzero(items_UK != NO_ITEM, axis=1)
    listed_U = length_U > 0
    return float(np.mean(sum_U[listed_U] / length_U[listed_U])) if listed_U.any() else None


def diversity(items_UK: Int32, cutoffs: Sequence[int], text_ND: Float32) -> dict[int, float | None]:
    """Intra-list diversity by cut-off: mean cosine distance of the pairs of a list, by text; 0 for all the same text.

    Smyth & McClave 2001; without a rank discount, that of Vargas & Castells 2011. Items without text are in no pair.
    The mean of each user's list, then over the users with a pair; None where nobody has one.
    """
    ordered = sorted(set(cutoffs))
    sums, users = dict.fromkeys(ordered, 0.0), dict.fromkeys(ordered, 0)
    has_text_N = np.any(text_ND != 0, axis=1)
    for start in range(0, len(items_UK), BLOCK_USERS):
        block_BK = items_UK[start : start + BLOCK_USERS]
        total_BD = np.zeros((len(block_BK), text_ND.shape[1]), np.float32)
        length_B = np.zeros(len(block_BK), np.int64)
        for shallower, k in zip([0, *ordered], ordered, strict=False):
            more_BN = _members(block_BK[:, shallower:k], has_text_N)
            total_BD += more_BN @ text_ND
            length_B += np.diff(more_BN.indptr)
            paired_B = length_B > 1
            n_B = length_B[paired_B].astype(np.float64)
            # |sum of unit vectors|^2 is n plus the cosines of all ordered pairs, which spares every pair its product.
            square_B = np.einsum("bd,bd->b", total_BD[paired_B], total_BD[paired_B], dtype=np.float64)
            sums[k] += float(np.sum(1.0 - (square_B - n_B) / (n_B * (n_B - 1))))
            users[k] += int(np.count_nonzero(paired_B))
    return {k: sums[k] / users[k] if users[k] else None for k in ordered}


def _members(items_BK: Int32, has_text_N: npt.NDArray[np.bool_]) -> sparse.csr_array:
    """Which items with text are in each row: float32 CSR (B, N)."""
    kept_BK = (items_BK != NO_ITEM) & has_text_N[items_BK]
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(kept_BK.sum(axis=1), dtype=np.int64)])
    values = items_BK[kept_BK]
    return sparse.csr_array((np.ones(len(values), np.float32), values, offsets), shape=(len(items_BK), len(has_text_N)))

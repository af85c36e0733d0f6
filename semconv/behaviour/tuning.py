"""Choosing the settings of the item-to-item counter on validation users: coordinate search over a small grid.

Legend: U users, B users of a block, N items, E votes (entries of a sparse matrix).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
import torch

from semconv.artifacts import Ragged, Split
from semconv.artifacts.ragged import Int64
from semconv.behaviour.item_to_item import FIXED, TUNED_NAME, Counting, ItemToItem
from semconv.behaviour.ordering import tie_rank
from semconv.behaviour.popularity import training_counts
from semconv.behaviour.training import sample
from semconv.progress import Report, silent

GRID: Mapping[str, tuple[Any, ...]] = {
    "backward": (0.0, 0.25, 0.5, 0.75, 1.0),
    "window": (1, 2, 3, 5, 10, 20),
    "distance_exponent": (0.0, 0.25, 0.5, 0.75, 1.0, 1.5),
    "voter_exponent": (0.0, 0.25, 0.5, 0.75, 1.0),
    "target_exponent": (0.0, 0.1, 0.2, 0.3, 0.4, 0.5),
    "recency": (0.5, 0.6, 0.7, 0.8, 0.9, 1.0),
    "voters": (5, 10, 20, 50),
}
"""What is tried, one setting after the other in this order; `FIXED` is on the grid."""

ROUNDS = 3
TOP = 10
BLOCK = 4096


@dataclass(frozen=True)
class Reached:
    """Mean Recall@10 and NDCG@10, items of the history left out as in the filtered evaluation."""

    recall_at_10: float
    ndcg_at_10: float


@dataclass(frozen=True)
class Tuned:
    """The tuned counter, and what it and the fixed one reached on ``users`` validation users (None without any).

    ``tried`` says how many settings were compared.
    """

    model: ItemToItem
    users: int
    fixed: Reached | None
    tuned: Reached | None
    tried: int


def tune(training: Ragged, n_items: int, valid: Split, *, users: int, seed: int, report: Report = silent) -> Tuned:
    """Count ``training`` alone, with the settings that reach the best NDCG@10 on at most ``users`` users of ``valid``.

    From `FIXED`, one setting at a time is moved to its best value on `GRID`, the others held; again, until a round
    changes nothing or after `ROUNDS`. Only a strictly better value is taken, so that the result depends on nothing but
    what is given, and reaches at least what the fixed counter does. Without validation users `FIXED` is kept.
    """
    chosen = sample(valid, users, np.random.default_rng(seed))
    counts_N = training_counts(training, n_items)
    if not len(chosen.users):
        return Tuned(ItemToItem.fit(training, n_items, name=TUNED_NAME), 0, None, None, 0)
    found: dict[Counting, Reached] = {}

    def reach(counting: Counting) -> float:
        if counting not in found:
            found[counting] = reached(ItemToItem.fit(training, n_items, counting), chosen, counts_N)
        return found[counting].ndcg_at_10

    best, done, most = FIXED, 0, ROUNDS * sum(len(values) for values in GRID.values())
    reach(best)
    for _ in range(ROUNDS):
        before = best
        for name, values in GRID.items():
            for value in values:
                moved = replace(best, **{name: value})
                best = moved if reach(moved) > reach(best) else best
                done += 1
                report(done, most, f"{TUNED_NAME} ndcg@10 {reach(best):.4f}")
        if best == before:
            break
    model = ItemToItem.fit(training, n_items, best, name=TUNED_NAME)
    return Tuned(model, len(chosen.users), found[FIXED], found[best], len(found))


def tuned_before(training: Ragged, n_items: int, chosen: Mapping[str, Any]) -> Tuned:
    """The counter with settings that were chosen before, on other training interactions."""
    return Tuned(ItemToItem.fit(training, n_items, Counting(**chosen), name=TUNED_NAME), 0, None, None, 0)


def reached(model: ItemToItem, split: Split, counts_N: torch.Tensor) -> Reached:
    """What the counter reaches on the users of ``split`` when it recommends in the order of `top_k`."""
    model.votes_NN.sort_indices()
    contested, tie_rank_N = _contested(model, split), tie_rank(counts_N).numpy()
    blocks = [np.arange(len(contested.users))[start : start + BLOCK] for start in range(0, len(contested.users), BLOCK)]
    hits, gain = 0, 0.0
    for rows in blocks:
        ranks_B = _ranks(model, _take(contested, rows), tie_rank_N)
        hits += int((ranks_B < TOP).sum())
        gain += float((1.0 / np.log2(ranks_B[ranks_B < TOP] + 2.0)).sum())
    return Reached(hits / len(split.users), gain / len(split.users))


def _take(split: Split, rows: Int64) -> Split:
    return Split(split.users[rows], split.histories.take(rows), split.targets[rows])


def _contested(model: ItemToItem, split: Split) -> Split:
    """The users whose target may be among the first ten: it has a vote, or fewer than ten others have one.

    Spares most users the sum of all votes. An item that one voter votes for is counted once, those of the history off.
    """
    recent = model.recent(list(split.histories))
    voter_of = np.repeat(np.arange(len(recent)), recent.lengths)
    votes_NN = model.votes_NN
    for_target = _at(votes_NN, recent.values, np.repeat(split.targets, recent.lengths)) > 0
    others = np.zeros(len(recent), np.int64)
    np.maximum.at(others, voter_of, np.diff(votes_NN.indptr)[recent.values])
    open_B = others < TOP + split.histories.lengths
    open_B[voter_of[for_target]] = True
    return _take(split, np.flatnonzero(open_B))


def _ranks(model: ItemToItem, split: Split, tie_rank_N: Int64) -> Int64:
    """Places of the targets among the items outside the history, from 0, int64 (B,); `TOP` for a target inside it.

    Only entries of the sparse votes are looked at: of the items that got none, as many come before a target that got
    none either as `tie_rank` says, and none before another.
    """
    votes_BN = model.votes(list(split.histories))
    n_users, n_items = votes_BN.shape
    targets_B = split.targets.astype(np.int64)
    ties_B = tie_rank_N[targets_B]
    scores_B = _at(votes_BN, np.arange(n_users), targets_B)

    def before(rows: Int64, items: npt.NDArray[np.integer], scores: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
        """Whether an item with this score comes before the target of its row."""
        sooner = tie_rank_N[items] < ties_B[rows]
        ahead: npt.NDArray[np.bool_] = (scores > scores_B[rows]) | ((scores == scores_B[rows]) & sooner)
        return ahead

    rows_E = np.repeat(np.arange(n_users), np.diff(votes_BN.indptr))
    ranks_B = np.bincount(rows_E[before(rows_E, votes_BN.indices, votes_BN.data)], minlength=n_users)
    silent_B = scores_B == 0
    voted_sooner_E = silent_B[rows_E] & (tie_rank_N[votes_BN.indices] < ties_B[rows_E])
    ranks_B += np.where(silent_B, ties_B, 0) - np.bincount(rows_E[voted_sooner_E], minlength=n_users)
    seen = np.unique(np.repeat(np.arange(n_users), split.histories.lengths) * n_items + split.histories.values)
    rows, items = np.divmod(seen, n_items)
    seen_before = before(rows, items, _at(votes_BN, rows, items))
    ranks_B -= np.bincount(rows[seen_before], minlength=n_users)
    ranks_B[rows[items == targets_B[rows]]] = TOP
    return ranks_B


def _at(
    matrix: sp.csr_array, rows: npt.NDArray[np.integer], columns: npt.NDArray[np.integer]
) -> npt.NDArray[np.float32]:
    """Entries of a sparse matrix; scipy gives no dense array for none."""
    return np.asarray(matrix[rows, columns]) if len(rows) else np.zeros(0, np.float32)

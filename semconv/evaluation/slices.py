"""The same figures for some of the users: by how long their history is, by how popular the item is that they took next,
and for some of them in other circumstances. All with the history's items removed.

The bounds of history lengths are the same for every data set, so that reports can be compared; what is popular depends
on the data. U users, N items.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from semconv.artifacts import Split
from semconv.artifacts.ragged import Int32, Int64
from semconv.evaluation.again import Found
from semconv.evaluation.new_items import NEW_ITEMS
from semconv.evaluation.paired import Paired
from semconv.evaluation.truncation import TRUNCATED

LENGTHS = (0, 1, 3, 5, 8, 15)
"""Least history length of every bin, in events."""
SHARES = ("head", "middle", "tail")
"""Thirds of the training interactions, those of the most popular items first."""

_WHOLE = {TRUNCATED: "whole history", NEW_ITEMS: "among all items"}

Rows = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Slice:
    """Figures of ``users`` of the users: metrics and 95% intervals by system, then by metric (Recall and NDCG)."""

    name: str
    says: str
    users: int
    metrics: dict[str, dict[str, float]]
    intervals: dict[str, dict[str, tuple[float, float]]]


@dataclass(frozen=True)
class Slices:
    """Slices by what the users differ in; ``k`` is the cut-off of their metrics."""

    k: int
    by: dict[str, list[Slice]]

    def contract(self) -> dict[str, Any]:
        """As in ``metrics.json``."""
        return {
            dimension: {
                found.name: {
                    "users": found.users,
                    "says": found.says,
                    "systems": {
                        system: {
                            "metrics": metrics,
                            "intervals": {name: list(pair) for name, pair in found.intervals[system].items()},
                        }
                        for system, metrics in found.metrics.items()
                    },
                }
                for found in slices
            }
            for dimension, slices in self.by.items()
        }


def slice_users(
    ranks: Mapping[str, Int32],
    split: Split,
    counts_N: Int64,
    *,
    k: int,
    resamples: int,
    seed: int,
    again: Mapping[str, Found] | None = None,
) -> Slices:
    """All slices of every system's hit ranks, int32 (U,); slices without a user are left out.

    ``counts_N``: training interactions of the items, int64 (N,). What was found ``again``, by the name of the question,
    is put beside what the same users had at first.
    """

    def one(name: str, says: str, of: Mapping[str, Int32]) -> Slice:
        paired = Paired.of(of, (k,), resamples, seed)
        metrics = (f"recall@{k}", f"ndcg@{k}")
        return Slice(
            name,
            says,
            paired.bootstrap.users,
            {system: {metric: paired.value(system, metric) for metric in metrics} for system in of},
            {system: {metric: paired.interval(system, metric) for metric in metrics} for system in of},
        )

    def part(rows: Rows | Int64) -> dict[str, Int32]:
        return {system: ranks_U[rows] for system, ranks_U in ranks.items()}

    by = {
        "history_length": [one(name, says, part(rows)) for name, says, rows in by_length(split.histories.lengths)],
        "target_popularity": [one(name, says, part(rows)) for name, says, rows in by_popularity(split, counts_N)],
    }
    for question, found in (again or {}).items():
        if len(found.rows):
            by[question] = [
                *(one(name, _says(question, name), ranks_of) for name, ranks_of in sorted(found.by_variant.items())),
                one("whole", _WHOLE[question], part(found.rows)),
            ]
    return Slices(k, by)


def by_length(lengths_U: Int64) -> list[tuple[str, str, Rows]]:
    """Users by the length of their history: name of the bin, what it says, rows; bins without users left out.

    Bounds about double from bin to bin (`LENGTHS`), as long-tailed lengths do from quantile to quantile.
    """
    bin_U = np.searchsorted(LENGTHS, lengths_U, side="right") - 1
    found = []
    for place, low in enumerate(LENGTHS):
        rows = np.flatnonzero(bin_U == place)
        high = LENGTHS[place + 1] - 1 if place + 1 < len(LENGTHS) else None
        name = f"{low}+" if high is None else str(low) if low == high else f"{low}-{high}"
        if len(rows):
            found.append((name, f"{name} events", rows))
    return found


def by_popularity(split: Split, counts_N: Int64) -> list[tuple[str, str, Rows]]:
    """Users by how often their target was taken in training: name, what it says, rows; those without users left out.

    Items are ordered by count, and cut where a third and two thirds of all training interactions lie above; items
    with the same count stay together. ``0``: items without training interactions.
    """
    share_N = popularity_shares(counts_N)
    found = []
    for share, name in [*enumerate(SHARES), (len(SHARES), "0")]:
        rows = np.flatnonzero(share_N[split.targets] == share)
        if not len(rows):
            continue
        counts = counts_N[share_N == share]
        says = "no training interaction" if name == "0" else f"{name}: {counts.min():,} to {counts.max():,} times"
        found.append((name, says, rows))
    return found


def popularity_shares(counts_N: Int64) -> npt.NDArray[np.int64]:
    """Place of every item's share in `SHARES`, int64 (N,); one more than the last for items without interactions."""
    values, inverse_N, items = np.unique(counts_N, return_inverse=True, return_counts=True)
    interactions = values * items
    above = interactions.sum() - np.cumsum(interactions)
    share = np.where(values == 0, len(SHARES), len(SHARES) * above // max(1, int(interactions.sum())))
    return share[inverse_N].astype(np.int64)


def _says(question: str, variant: str) -> str:
    if question == NEW_ITEMS:
        return "among new items alone"
    return {"0": "no event", "1": "last event"}.get(variant, f"last {variant} events")

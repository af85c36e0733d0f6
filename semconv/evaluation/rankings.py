"""What every system recommends to every user of the test split: asked for in blocks, gathered without loss.

U users, B of them in a block, K items a ranking.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, get_args

import numpy as np

from semconv.artifacts import Split
from semconv.artifacts.ragged import Int32, Int64
from semconv.recommend.ranker import NO_ITEM, Ranker

Filter = Literal["filtered", "unfiltered"]
FILTERS: tuple[Filter, ...] = get_args(Filter)

Rankings = Mapping[str, Mapping[Filter, Int32]]
"""Rankings int32 (U, K) by system, then by whether items of the history were removed."""


class CountError(RuntimeError):
    """The rankings are not exactly one legal ranking per user: a bug in the program, never a result to report."""


def column(system: str, kind: Filter) -> str:
    """Name under which a block carries one system's rankings."""
    return f"{system}.{kind}"


def rank_block(
    rankers: Mapping[str, Ranker], histories: Sequence[Int32], k: int, kinds: Sequence[Filter] = FILTERS
) -> dict[str, Int32]:
    """Rankings int32 (B, k) of every system, with the history's items removed and without, by `column`."""
    return {
        column(name, kind): ranker.rank(histories, k, exclude=histories if kind == "filtered" else None).items
        for name, ranker in rankers.items()
        for kind in kinds
    }


class Gathering:
    """Fills in the rankings of a split's users as blocks arrive, in any order; refuses what cannot be right."""

    def __init__(self, split: Split, n_items: int, k: int) -> None:
        self._split = split
        self._n_items = n_items
        self._k = k
        self._seen = np.zeros(len(split.users), dtype=np.int64)
        self._rankings: dict[str, dict[Filter, Int32]] = {}

    def add(self, rows_B: Int64, block: Mapping[str, Int32]) -> None:
        """Take the rankings of the users at ``rows_B`` of the split; raises `CountError` for an illegal ranking."""
        np.add.at(self._seen, rows_B, 1)
        for name, items_BK in block.items():
            system, _, kind = name.rpartition(".")
            if kind not in FILTERS or items_BK.shape != (len(rows_B), self._k):
                raise CountError(f"{name} has rankings of shape {items_BK.shape}, not {(len(rows_B), self._k)}")
            self._check(name, items_BK)
            if kind == "filtered":
                self._check_filter(name, rows_B, items_BK)
            of_system = self._rankings.setdefault(system, {})
            if kind not in of_system:
                of_system[kind] = np.full((len(self._split.users), self._k), NO_ITEM, np.int32)
            of_system[kind][rows_B] = items_BK

    def finish(self) -> Rankings:
        """All rankings; raises `CountError` unless every user of the split was ranked exactly once."""
        missing, twice = np.count_nonzero(self._seen == 0), np.count_nonzero(self._seen > 1)
        if missing or twice:
            raise CountError(f"of {len(self._seen)} users {missing} were not ranked and {twice} more than once")
        return self._rankings

    @property
    def done(self) -> int:
        """Users ranked so far."""
        return int(np.count_nonzero(self._seen))

    def _check(self, name: str, items_BK: Int32) -> None:
        ordered_BK = np.sort(items_BK, axis=1)
        if items_BK.size and (ordered_BK[:, 0].min() < NO_ITEM or ordered_BK[:, -1].max() >= self._n_items):
            raise CountError(f"{name} recommends items that are not in the catalogue")
        if np.any((ordered_BK[:, 1:] == ordered_BK[:, :-1]) & (ordered_BK[:, 1:] != NO_ITEM)):
            raise CountError(f"{name} recommends an item twice to the same user")

    def _check_filter(self, name: str, rows_B: Int64, items_BK: Int32) -> None:
        histories = self._split.histories.take(rows_B)
        key = np.repeat(np.arange(len(rows_B)), histories.lengths) * self._n_items + histories.values
        asked_BK = np.where(items_BK == NO_ITEM, -1, np.arange(len(rows_B))[:, None] * self._n_items + items_BK)
        if np.isin(asked_BK, key).any():
            raise CountError(f"{name} recommends items of the user's own history")


def repeats(split: Split) -> int:
    """Users whose target is in their own history: no filtered ranking can hit it, and it counts as a miss."""
    return sum(int(target in history) for history, target in zip(split.histories, split.targets, strict=True))

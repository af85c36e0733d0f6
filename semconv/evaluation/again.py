"""Some users ranked for again in other circumstances: who, what each system is asked then, and where their targets are.

U users, B of them in a block, K items a ranking.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from semconv.artifacts import Split
from semconv.artifacts.ragged import Int32, Int64
from semconv.evaluation.metrics import hit_ranks
from semconv.evaluation.rankings import Gathering, column, rank_block
from semconv.recommend.ranker import NO_ITEM, Ranker

MARK = "~"
"""In the name of a column, between a system, a question and a variant of it."""


@dataclass(frozen=True)
class Question:
    """Asked of the users at ``rows`` of a split, int64, ascending; ``variants`` makes of a system what answers it."""

    name: str
    rows: Int64
    variants: Callable[[Ranker], Mapping[str, Ranker]]


@dataclass(frozen=True)
class Found:
    """Hit ranks int32 of the users at ``rows`` of a split, by variant of a question, then by system."""

    rows: Int64
    by_variant: dict[str, dict[str, Int32]]


def ask(
    question: Question, rankers: Mapping[str, Ranker], histories: Sequence[Int32], rows_B: Int64, k: int
) -> dict[str, Int32]:
    """Rankings int32 (B, k) for the users at ``rows_B``: of those that the question is about; else `NO_ITEM`.

    The items of ``histories`` stay excluded.
    """
    asked = {
        f"{name}{MARK}{question.name}{MARK}{variant}": answering
        for name, ranker in rankers.items()
        for variant, answering in question.variants(ranker).items()
    }
    block = {column(name, "filtered"): np.full((len(histories), k), NO_ITEM, np.int32) for name in asked}
    about_B = np.isin(rows_B, question.rows)
    if about_B.any():
        wanted = [histories[row] for row in np.flatnonzero(about_B).tolist()]
        for name, items in rank_block(asked, wanted, k, ("filtered",)).items():
            block[name][about_B] = items
    return block


class Answers:
    """Takes what `ask` made out of arriving blocks."""

    def __init__(self, question: Question, split: Split, n_items: int, k: int) -> None:
        rows = question.rows
        self.question = question
        self._targets = split.targets[rows]
        self._part = Gathering(Split(split.users[rows], split.histories.take(rows), self._targets), n_items, k)

    def take(self, rows_B: Int64, block: Mapping[str, Int32]) -> dict[str, Int32]:
        """Keep the question's rankings of the users at ``rows_B``; the rest of the block is given back."""
        about_B = np.isin(rows_B, self.question.rows)
        names = [name for name in block if f"{MARK}{self.question.name}{MARK}" in name]
        places = np.searchsorted(self.question.rows, rows_B[about_B])
        self._part.add(places, {name: block[name][about_B] for name in names})
        return {name: items for name, items in block.items() if name not in names}

    def finish(self) -> Found:
        """What was found; raises `CountError` as `Gathering` does."""
        found: dict[str, dict[str, Int32]] = {}
        for name, by_filter in self._part.finish().items():
            system, _, variant = name.split(MARK)
            found.setdefault(variant, {})[system] = hit_ranks(by_filter["filtered"], self._targets)
        return Found(self.question.rows, found)


def sample(users: int, count: int, seed: int) -> Int64:
    """Rows of ``count`` of the users, all where there are fewer: drawn by ``seed``, int64, ascending."""
    drawn = np.random.default_rng(seed).choice(users, size=min(count, users), replace=False)
    return np.sort(drawn).astype(np.int64)

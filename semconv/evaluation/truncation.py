"""What systems still know when a history is short: some users ranked again by their last few events alone.

U users, B of them in a block, K items a ranking.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from semconv.artifacts import Split
from semconv.artifacts.ragged import Int32, Int64
from semconv.evaluation.metrics import hit_ranks
from semconv.evaluation.rankings import Gathering, column, rank_block
from semconv.recommend.ranker import NO_ITEM, Ranker, Ranking

KEPT = (0, 1, 2)
"""Events of a history that are left."""
CUT = ".last_"
"""Between the name of a system and the number of events it is shown."""


@dataclass(frozen=True)
class TruncatedRanks:
    """Hit ranks int32 of the users at ``rows`` of a split, by events kept, then by system."""

    rows: Int64
    by_events: dict[int, dict[str, Int32]]


class Truncated:
    """Ranks by the last ``keep`` events of a history; what is excluded stays excluded. A `Ranker`."""

    def __init__(self, ranker: Ranker, keep: int) -> None:
        self.name = f"{ranker.name}{CUT}{keep}"
        self._ranker = ranker
        self._keep = keep

    def rank(self, histories: Sequence[Int32], k: int, *, exclude: Sequence[Int32] | None = None) -> Ranking:
        """See `Ranker`."""
        recent = [history[max(0, len(history) - self._keep) :] for history in histories]
        return self._ranker.rank(recent, k, exclude=exclude)


def sample(users: int, count: int, seed: int) -> Int64:
    """Rows of ``count`` of the users, all where there are fewer: drawn by ``seed``, int64, ascending."""
    drawn = np.random.default_rng(seed).choice(users, size=min(count, users), replace=False)
    return np.sort(drawn).astype(np.int64)


def rank_truncated(
    rankers: Mapping[str, Ranker], histories: Sequence[Int32], sampled_B: npt.NDArray[np.bool_], k: int
) -> dict[str, Int32]:
    """Rankings int32 (B, k) by truncated histories, of the sampled users alone; rows of the others are `NO_ITEM`."""
    short = {f"{name}{CUT}{keep}": Truncated(ranker, keep) for name, ranker in rankers.items() for keep in KEPT}
    block = {column(name, "filtered"): np.full((len(histories), k), NO_ITEM, np.int32) for name in short}
    if sampled_B.any():
        wanted = [histories[row] for row in np.flatnonzero(sampled_B).tolist()]
        for name, items in rank_block(short, wanted, k, ("filtered",)).items():
            block[name][sampled_B] = items
    return block


class TruncatedGathering:
    """Takes what `rank_truncated` made out of arriving blocks, for the users at ``rows`` of the split."""

    def __init__(self, split: Split, n_items: int, k: int, rows: Int64) -> None:
        self.rows = rows
        self._targets = split.targets[rows]
        self._part = Gathering(Split(split.users[rows], split.histories.take(rows), self._targets), n_items, k)

    def take(self, rows_B: Int64, block: Mapping[str, Int32]) -> dict[str, Int32]:
        """Keep the truncated rankings of the users at ``rows_B``; the rest of the block is given back."""
        sampled_B = np.isin(rows_B, self.rows)
        names = [name for name in block if CUT in name]
        places = np.searchsorted(self.rows, rows_B[sampled_B])
        self._part.add(places, {name: block[name][sampled_B] for name in names})
        return {name: items for name, items in block.items() if name not in names}

    def finish(self) -> TruncatedRanks:
        """What was found; raises `CountError` as `Gathering` does."""
        found: dict[int, dict[str, Int32]] = {}
        for name, by_filter in self._part.finish().items():
            system, _, keep = name.rpartition(CUT)
            found.setdefault(int(keep), {})[system] = hit_ranks(by_filter["filtered"], self._targets)
        return TruncatedRanks(self.rows, found)

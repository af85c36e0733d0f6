"""What systems still know when a history is short: some users ranked for again by their last few events alone."""

from __future__ import annotations

from collections.abc import Sequence

from semconv.artifacts.ragged import Int32
from semconv.evaluation.again import Question, sample
from semconv.recommend.ranker import Ranker, Ranking

TRUNCATED = "truncated"
KEPT = (0, 1, 2)
"""Events of a history that are left."""


class Truncated:
    """Ranks by the last ``keep`` events of a history; what is excluded stays excluded. A `Ranker`."""

    def __init__(self, ranker: Ranker, keep: int) -> None:
        self.name = ranker.name
        self._ranker = ranker
        self._keep = keep

    def rank(self, histories: Sequence[Int32], k: int, *, exclude: Sequence[Int32] | None = None) -> Ranking:
        """See `Ranker`."""
        recent = [history[max(0, len(history) - self._keep) :] for history in histories]
        return self._ranker.rank(recent, k, exclude=exclude)


def by_last_events(users: int, count: int, seed: int) -> Question:
    """Of ``count`` of the users, drawn by ``seed``."""
    return Question(
        TRUNCATED, sample(users, count, seed), lambda ranker: {str(keep): Truncated(ranker, keep) for keep in KEPT}
    )

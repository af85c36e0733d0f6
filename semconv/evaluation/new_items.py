"""What systems know of items that nobody had taken: users whose next item is such a one, ranked for among these alone.

Among all items hardly any system names a new one: others have their interactions to speak for them. A shop shows what
is new on a shelf of its own, and there a system has its text to go by. N items.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from semconv.artifacts import Split
from semconv.artifacts.ragged import Int32, Int64
from semconv.evaluation.again import Question, sample
from semconv.recommend.ranker import Ranker, Ranking

NEW_ITEMS = "new_items"
MOST = 100_000
"""Items of a catalogue up to which the question is asked: all but the new ones are excluded for every user."""


class Shelf:
    """Ranks the new items alone, those excluded left out. A `Ranker`."""

    def __init__(self, ranker: Ranker, known: Int32) -> None:
        self.name = ranker.name
        self._ranker = ranker
        self._known = known

    def rank(self, histories: Sequence[Int32], k: int, *, exclude: Sequence[Int32] | None = None) -> Ranking:
        """See `Ranker`."""
        left_out = [self._known] * len(histories)
        if exclude is not None:
            left_out = [np.concatenate([self._known, items]) for items in exclude]
        return self._ranker.rank(histories, k, exclude=left_out)


def among_new_items(split: Split, counts_N: Int64, count: int, seed: int) -> Question:
    """Of the users whose target nobody took in training, at most ``count``; of nobody in a catalogue beyond `MOST`.

    ``counts_N``: training interactions of the items, int64 (N,).
    """
    about = np.flatnonzero(counts_N[split.targets] == 0)
    rows = about[sample(len(about), count, seed)] if len(counts_N) <= MOST else about[:0]
    known = np.flatnonzero(counts_N).astype(np.int32)
    return Question(NEW_ITEMS, rows.astype(np.int64), lambda ranker: {"alone": Shelf(ranker, known)})

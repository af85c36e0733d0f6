"""Users for a precache job of any size: those of a run, and new ones who exist in exported events alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from semconv.artifacts import Corpus, Run
from semconv.artifacts.ragged import Int64
from semconv.corpus.later import EVENTS, write_later

STORE = "be" * 16
CHANGED = 0.05
"""Share of the users who do something more."""


class Newcomers:
    """``count`` new users of a run's shop: as busy as its own, and drawn to items as often."""

    def __init__(self, run: Run, count: int) -> None:
        self._corpus = corpus = Corpus.open(run.artifact(Corpus.kind))
        self._rng = rng = np.random.default_rng(17)
        self.user_ids = [f"new-{number:08d}" for number in range(count)]
        lengths = rng.choice(corpus.sequences.lengths, count)
        popularity = np.bincount(corpus.sequences.values, minlength=corpus.n_items).astype(np.float64)
        self._popularity = popularity / popularity.sum()
        self._drawn = np.flatnonzero(popularity)
        drawn = [self._items(int(min(length, len(self._drawn)))) for length in lengths]
        self._items_of = dict(zip(self.user_ids, drawn, strict=True))

    def write(self, folder: Path) -> Path:
        """Their events, as a service exports them, in the new ``folder``."""
        folder.mkdir()
        write_later(folder, [self._events(self._items_of)], store=STORE, seq=1)
        return folder

    def write_changed(self, folder: Path) -> Path:
        """The same events, and one more of every twentieth user of all, the run's own among them."""
        folder.mkdir()
        everybody = [*self._corpus.user_ids, *self.user_ids]
        chosen = self._rng.choice(len(everybody), round(CHANGED * len(everybody)), replace=False)
        more = {everybody[int(user)]: self._items(1) for user in chosen}
        write_later(folder, [self._events(self._items_of), self._events(more)], store=STORE, seq=2)
        return folder

    def _items(self, count: int) -> Int64:
        return self._rng.choice(len(self._popularity), count, replace=False, p=self._popularity)

    def _events(self, items_of: dict[str, Int64]) -> pa.RecordBatch:
        user_ids = [user for user, items in items_of.items() for _ in items]
        item_ids = [self._corpus.item_ids[int(item)] for items in items_of.values() for item in items]
        times = np.arange(len(user_ids))
        return pa.record_batch([pa.array(user_ids, pa.string()), pa.array(item_ids, pa.string()), times], schema=EVENTS)

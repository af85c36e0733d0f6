"""Training examples of the compact spelling: sequences, and items asked for in words.

Three kinds, all from the catalogue and training interactions alone: a user's sequence, where every item is predicted
from those before it; the words of a catalogue item, then that item; and words with a history, then the next item,
whose words they are.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from semconv.alignment.sequences import windows
from semconv.artifacts.ragged import Int32, Ragged
from semconv.llm.compact_batch import NOTHING, CompactExample

_NO_WORDS = np.zeros(0, np.int32)


class CompactExamples:
    """The examples of an epoch by number; the first are sequences, the rest text tasks drawn anew every epoch."""

    def __init__(
        self, training: Ragged, words: Sequence[Int32], *, max_history: int, text_share: float, seed: int
    ) -> None:
        """``words`` holds the token ids of every catalogue item's text, in item order, possibly empty."""
        self._windows = windows(training, max_history + 1)
        self._words = words
        self._worded = np.asarray([item for item, ids in enumerate(words) if len(ids)], np.int64)
        self._max_history = max_history
        self._seed = seed
        sequences = len(self._windows.rows)
        share = min(text_share, 0.99) if len(self._worded) else 0.0
        self._texts = round(sequences * share / (1 - share))

    def __len__(self) -> int:
        return len(self._windows.rows) + self._texts

    def example(self, epoch: int, number: int) -> CompactExample:
        """Example ``number`` of an epoch."""
        if number < len(self._windows.rows):
            items, whole = self._windows.rows[number], self._windows.whole[number]
            targets = items.copy()
            if not whole:
                targets[0] = NOTHING
            return CompactExample(_NO_WORDS, items[:-1], targets)
        return self._text(np.random.default_rng((self._seed, epoch, number)))

    def _text(self, random: np.random.Generator) -> CompactExample:
        if len(self._windows.rows) and random.random() < 0.5:
            items = self._windows.rows[random.integers(len(self._windows.rows))]
            stop = int(random.integers(len(items)))
            history, target = items[:stop], int(items[stop])
        else:
            history, target = _NO_WORDS, int(random.choice(self._worded))
        targets = np.full(len(history) + 1, NOTHING, np.int32)
        targets[-1] = target
        return CompactExample(self._words[target], history, targets)

"""Users' training sequences, cut to what the model sees at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from semconv.artifacts.ragged import Int32, Int64, Ragged


@dataclass(frozen=True)
class Windows:
    """Stretches of sequences of at most ``length`` items, found by number; ``ends`` int64 (U) counts them up by user.

    The cut runs from the end of a sequence, so that its first stretch is the longest history that a recommendation
    would see. Stretches overlap by one: together they predict every item but the first exactly once. A single item
    makes none.
    """

    training: Ragged
    length: int
    ends: Int64

    def __len__(self) -> int:
        return int(self.ends[-1]) if len(self.ends) else 0

    def __getitem__(self, number: int) -> tuple[Int32, bool]:
        """Item indices, and whether they begin where the user's sequence begins."""
        user = int(np.searchsorted(self.ends, number, side="right"))
        items = self.training[user]
        before = int(self.ends[user - 1]) if user else 0
        stop = len(items) - (number - before) * (self.length - 1)
        begin = max(0, stop - self.length)
        return items[begin:stop], begin == 0


def windows(training: Ragged, length: int) -> Windows:
    """Cut every sequence into stretches of at most ``length`` items, at least 2."""
    return Windows(training, length, np.cumsum(-(-(np.maximum(training.lengths, 1) - 1) // (length - 1))))

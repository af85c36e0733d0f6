"""Users' training sequences, cut to what the model sees at once."""

from __future__ import annotations

from dataclasses import dataclass

from semconv.artifacts.ragged import Int32, Ragged


@dataclass(frozen=True)
class Windows:
    """Stretches of sequences: ``rows`` of item indices, and whether each begins where its user's sequence begins."""

    rows: list[Int32]
    whole: list[bool]


def windows(training: Ragged, length: int) -> Windows:
    """Cut every sequence into stretches of at most ``length`` items that overlap by one; a single item makes none.

    The cut runs from the end, so that the last stretch is the longest history a recommendation would see. Together
    they predict every item but the first exactly once.
    """
    rows: list[Int32] = []
    whole: list[bool] = []
    for items in training:
        stop = len(items)
        while stop > 1:
            begin = max(0, stop - length)
            rows.append(items[begin:stop])
            whole.append(begin == 0)
            stop = begin + 1
    return Windows(rows, whole)

"""Sources that several rankings ask about the same histories in turn, and look at them once."""

from __future__ import annotations

from collections.abc import Sequence

from semconv.artifacts.ragged import Int32
from semconv.recommend.evidence import Reading, Source


class Remembered:
    """A `Source` that keeps its last reading, and gives it again while it is asked about the very same arrays."""

    def __init__(self, source: Source) -> None:
        self.features = source.features
        self._source = source
        self._last: tuple[list[Int32], Reading] | None = None

    def read(self, histories: Sequence[Int32]) -> Reading:
        """See `Source`."""
        if self._last is None or not _same(self._last[0], histories):
            self._last = None  # freed before the next one is made
            self._last = list(histories), self._source.read(histories)
        return self._last[1]


def _same(before: Sequence[Int32], now: Sequence[Int32]) -> bool:
    return len(before) == len(now) and all(one is other for one, other in zip(before, now, strict=True))

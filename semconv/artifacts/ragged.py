"""Lists of different lengths in two flat arrays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]
NO_ITEM = -1
"""Fills a row of item indices where fewer items are legal than it has places."""


@dataclass(frozen=True)
class Ragged(Sequence[Int32]):
    """Row i is ``values[offsets[i]:offsets[i + 1]]``; offsets int64 (rows + 1), values int32."""

    offsets: Int64
    values: Int32

    @classmethod
    def of(cls, rows: Sequence[Sequence[int] | Int32]) -> Ragged:
        """Flatten ``rows``."""
        lengths = np.fromiter((len(row) for row in rows), dtype=np.int64, count=len(rows))
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
        values = np.concatenate([np.asarray(row, np.int32) for row in rows]) if len(rows) else np.zeros(0, np.int32)
        return cls(offsets, values.astype(np.int32, copy=False))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> Int32:  # type: ignore[override]  # rows only: slicing is `take`
        if row < 0 or row >= len(self):
            raise IndexError(row)
        return self.values[self.offsets[row] : self.offsets[row + 1]]

    def __iter__(self) -> Iterator[Int32]:
        for row in range(len(self)):
            yield self[row]

    @property
    def lengths(self) -> Int64:
        """Length of every row, int64."""
        return np.diff(self.offsets)

    def take(self, rows: npt.NDArray[np.integer]) -> Ragged:
        """The given rows, in that order."""
        return Ragged.of([self[int(row)] for row in rows])

    def prefix(self, lengths: npt.NDArray[np.integer]) -> Ragged:
        """The first ``lengths[i]`` values of every row."""
        keep_offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])
        starts = np.repeat(self.offsets[:-1] - keep_offsets[:-1], lengths)
        return Ragged(keep_offsets, self.values[starts + np.arange(keep_offsets[-1])])

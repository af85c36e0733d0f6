"""Finding an id in a memory-mapped Arrow column: binary search over its bytes, no Python list of ids."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

import pyarrow as pa


class SortedIds:
    """Search over a string column without nulls, in the order of its UTF-8 bytes.

    ``order`` lists the column's rows by id; None says that the rows themselves stand in that order. Both stay
    where they are (in a mapped file); a search of n ids reads about log2(n) of them.
    """

    def __init__(self, column: pa.StringArray, order: pa.Int32Array | None = None) -> None:
        _, offsets, data = column.buffers()
        first, stop = column.offset, column.offset + len(column) + 1
        self._offsets = memoryview(offsets).cast("i")[first:stop] if len(column) else memoryview(b"")
        self._data = memoryview(data or b"")
        self._rows: Sequence[int] = range(len(column)) if order is None else memoryview(order.to_numpy())

    def __len__(self) -> int:
        return len(self._rows)

    def at(self, row: int) -> bytes:
        """The id in this row, as UTF-8."""
        return bytes(self._data[self._offsets[row] : self._offsets[row + 1]])

    def find(self, key: bytes) -> int | None:
        """The row that holds this id, or None."""
        place = bisect_left(self._rows, key, key=self.at)
        if place == len(self._rows):
            return None
        row = self._rows[place]
        return row if self.at(row) == key else None


def key_of(identifier: str) -> bytes:
    """The bytes an id is searched by; a string that is no valid Unicode (a lone surrogate) matches nothing."""
    return identifier.encode("utf-8", "surrogatepass")

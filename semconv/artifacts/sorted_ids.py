"""Strings in memory-mapped Arrow columns: read one by one where they lie, found by binary search over their bytes."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

import pyarrow as pa


class Texts:
    """A string column whose rows are read without a Python list of them."""

    def __init__(self, column: pa.StringArray) -> None:
        valid, offsets, data = column.buffers()
        first, stop = column.offset, column.offset + len(column) + 1
        self._first = first
        self._valid = memoryview(valid) if column.null_count else None
        self._offsets = memoryview(offsets).cast("i")[first:stop] if len(column) else memoryview(b"")
        self._data = memoryview(data or b"")

    def at(self, row: int) -> bytes:
        """The string in this row as UTF-8; empty where it is null."""
        return bytes(self._data[self._offsets[row] : self._offsets[row + 1]])

    def text(self, row: int) -> str | None:
        """The string in this row; None where it is null."""
        if self._valid is not None:
            bit = self._first + row
            if not self._valid[bit >> 3] >> (bit & 7) & 1:
                return None
        return str(self._data[self._offsets[row] : self._offsets[row + 1]], "utf-8")


class TextLists:
    """A column of lists of strings; a null list reads as an empty one."""

    def __init__(self, column: pa.ListArray) -> None:
        self._offsets = memoryview(column.offsets.to_numpy())
        self._texts = Texts(column.values)

    def at(self, row: int) -> tuple[str, ...]:
        """The strings in this row."""
        return tuple(self._texts.text(place) or "" for place in range(self._offsets[row], self._offsets[row + 1]))


class SortedIds:
    """Search over a string column without nulls, in the order of its UTF-8 bytes.

    ``order`` lists the column's rows by id; None says that the rows themselves stand in that order. Both stay
    where they are (in a mapped file); a search of n ids reads about log2(n) of them.
    """

    def __init__(self, column: pa.StringArray, order: pa.Int32Array | None = None) -> None:
        self.at = Texts(column).at
        self._rows: Sequence[int] = range(len(column)) if order is None else memoryview(order.to_numpy())

    def __len__(self) -> int:
        return len(self._rows)

    def place(self, key: bytes, first: int = 0, stop: int | None = None) -> int:
        """How many ids come before ``key``, looked for between two places."""
        return bisect_left(self._rows, key, first, stop, key=self.at)

    def find(self, key: bytes) -> int | None:
        """The row that holds this id, or None."""
        place = self.place(key)
        if place == len(self._rows):
            return None
        row = self._rows[place]
        return row if self.at(row) == key else None


def key_of(identifier: str) -> bytes:
    """The bytes an id is searched by; a string that is no valid Unicode (a lone surrogate) matches nothing."""
    return identifier.encode("utf-8", "surrogatepass")

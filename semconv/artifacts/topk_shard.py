"""One shard of a snapshot: users sorted by id in a mapped file, found by binary search."""

from __future__ import annotations

import zlib
from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from semconv.artifacts.arrow_files import mapped, matrix_of, require_schema, width_of
from semconv.artifacts.ragged import NO_ITEM, Int32
from semconv.artifacts.sorted_ids import SortedIds

Float32 = npt.NDArray[np.float32]
NONE = NO_ITEM
"""Fills ``items`` past the last recommendation, and neighbours past the last."""
STAMP_BYTES = 16
RUN = 256
"""Users of whom memory holds the first one's id."""


class Known(NamedTuple):
    """A user's items, best first, their scores, and the last items of the history, oldest first; views, not copies."""

    items: Int32
    scores: Float32
    history: Int32


def users_schema(kept: int) -> pa.Schema:
    """Schema of a shard whose users have at most ``kept`` items."""
    return pa.schema(
        [
            ("user_id", pa.string()),
            ("items", pa.list_(pa.int32(), kept)),
            ("scores", pa.list_(pa.float32(), kept)),
            ("history", pa.list_(pa.int32())),
            ("stamp", pa.binary(STAMP_BYTES)),
        ]
    )


def shard_of(key: bytes, shards: int) -> int:
    """The shard of a user by the UTF-8 bytes of the id: CRC-32 modulo the number of shards."""
    return zlib.crc32(key) % shards


class Shard:
    """One mapped file of sorted users; memory holds one id of each `RUN`, so that a search touches few pages."""

    def __init__(self, path: Path) -> None:
        schema, batches = mapped(path)
        self.kept = width_of(schema, "items")
        require_schema(path, schema, users_schema(self.kept))
        self.batches = [batch for batch in batches if batch.num_rows]
        self.users = sum(batch.num_rows for batch in self.batches)
        self._runs = [(rows, first) for rows in map(_Rows, self.batches) for first in range(0, len(rows.ids), RUN)]
        self._firsts = [rows.ids.at(first) for rows, first in self._runs]

    def lookup(self, key: bytes) -> Known | None:
        """What is known of the user with this id."""
        place = self._find(key)
        return None if place is None else place[0].known(place[1])

    def stamp(self, key: bytes) -> bytes | None:
        """The stamp of the user with this id."""
        place = self._find(key)
        return None if place is None else place[0].stamp(place[1])

    def following(self, prefix: bytes) -> Iterator[bytes]:
        """The ids that begin with ``prefix``, sorted."""
        for rows, first in self._runs[max(bisect_right(self._firsts, prefix) - 1, 0) :]:
            stop = min(first + RUN, len(rows.ids))
            for row in range(rows.ids.place(prefix, first, stop), stop):
                found = rows.ids.at(row)
                if not found.startswith(prefix):
                    return
                yield found

    def _find(self, key: bytes) -> tuple[_Rows, int] | None:
        """The record batch and the row that hold this id."""
        run = bisect_right(self._firsts, key) - 1
        if run < 0:
            return None
        rows, first = self._runs[run]
        stop = min(first + RUN, len(rows.ids))
        row = rows.ids.place(key, first, stop)
        return (rows, row) if row < stop and rows.ids.at(row) == key else None


class _Rows:
    """The columns of one record batch, as what a lookup reads."""

    def __init__(self, batch: pa.RecordBatch) -> None:
        self.ids = SortedIds(batch["user_id"])
        self._stamps = memoryview(batch["stamp"].buffers()[1])
        self._items = matrix_of(batch["items"])
        self._scores = matrix_of(batch["scores"])
        self._history = batch["history"].values.to_numpy()
        self._offsets = memoryview(batch["history"].offsets.to_numpy())

    def known(self, row: int) -> Known:
        """A row without its filling."""
        items, scores = self._items[row], self._scores[row]
        history = self._history[self._offsets[row] : self._offsets[row + 1]]
        if items[-1] != NONE:
            return Known(items, scores, history)
        length = int(np.argmax(items == NONE))
        return Known(items[:length], scores[:length], history)

    def stamp(self, row: int) -> bytes:
        """A row's stamp."""
        return bytes(self._stamps[row * STAMP_BYTES : (row + 1) * STAMP_BYTES])

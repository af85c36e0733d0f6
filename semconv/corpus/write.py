"""Writing a corpus: Parquet in parts of a fixed size, so that the bytes depend on the content alone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from semconv.artifacts.corpus import ITEMS, QUARANTINE, SEQUENCES
from semconv.artifacts.ragged import Int64
from semconv.corpus.sequences import Log

ITEMS_PER_FILE = 2**18
USERS_PER_FILE = 2**18
_QUARANTINE_BATCH = 2**16


def write_items(folder: Path, table: pa.Table) -> None:
    """The catalogue, schema `ITEMS`, into ``folder``."""
    folder.mkdir(parents=True)
    for part, start in enumerate(range(0, table.num_rows, ITEMS_PER_FILE)):
        piece = table.slice(start, ITEMS_PER_FILE).cast(ITEMS).combine_chunks()
        pq.write_table(piece, folder / f"part-{part:05d}.parquet", compression="zstd")


def write_sequences(
    folder: Path, user_ids: pa.Array, log: Log, lengths: Int64, ends: tuple[Int64, Int64], *, timed: bool
) -> None:
    """Every user's rows of the sorted ``log``, schema `SEQUENCES`, into ``folder``; times are null unless ``timed``."""
    folder.mkdir(parents=True)
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    for part, start in enumerate(range(0, len(lengths), USERS_PER_FILE)):
        stop = min(start + USERS_PER_FILE, len(lengths))
        rows = slice(int(offsets[start]), int(offsets[stop]))
        bounds = pa.array((offsets[start : stop + 1] - offsets[start]).astype(np.int32))
        times = (
            pa.ListArray.from_arrays(bounds, pa.array(log.order[rows]))
            if timed
            else pa.nulls(stop - start, pa.list_(pa.int64()))
        )
        table = pa.table(
            [
                user_ids.slice(start, stop - start),
                pa.ListArray.from_arrays(bounds, pa.array(log.items[rows])),
                times,
                pa.array(ends[0][start:stop].astype(np.int32)),
                pa.array(ends[1][start:stop].astype(np.int32)),
            ],
            names=SEQUENCES.names,
        ).cast(SEQUENCES)
        pq.write_table(table, folder / f"part-{part:05d}.parquet", compression="zstd")


class Quarantine:
    """Writes refused rows, schema `QUARANTINE`, as they come; `close` it to have the file."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self._writer = pq.ParquetWriter(folder / "part-00000.parquet", QUARANTINE, compression="zstd")
        self._waiting: list[pa.Table] = []
        self._rows = 0

    def add(self, source: str, lines: pa.Array, reasons: Sequence[str], rows: pa.Array) -> None:
        """Add rows of one file."""
        if not reasons:
            return
        columns = [pa.repeat(source, len(reasons)), lines, pa.array(reasons, pa.string()), rows]
        self._waiting.append(pa.table(columns, names=QUARANTINE.names).cast(QUARANTINE))
        self._rows += len(reasons)
        while self._rows >= _QUARANTINE_BATCH:
            self._write(_QUARANTINE_BATCH)

    def add_ids(self, user_ids: pa.Array, item_ids: pa.Array, log: Log, *, reason: str) -> None:
        """Add interactions that were refused after they had become codes; their line is no longer known."""
        for start in range(0, len(log), _QUARANTINE_BATCH):
            piece = log.take(np.arange(start, min(start + _QUARANTINE_BATCH, len(log))))
            users = user_ids.take(pa.array(piece.users)).to_pylist()
            items = item_ids.take(pa.array(piece.items)).to_pylist()
            rows = [json.dumps({"user_id": user, "item_id": item}) for user, item in zip(users, items, strict=True)]
            lines = pa.nulls(len(rows), pa.int64())
            self.add("interactions", lines, [reason] * len(rows), pa.array(rows, pa.string()))

    def close(self) -> None:
        """Write what is left and end the file."""
        if self._rows:
            self._write(self._rows)
        self._writer.close()

    def _write(self, rows: int) -> None:
        table = pa.concat_tables(self._waiting).combine_chunks()
        self._writer.write_table(table.slice(0, rows))
        self._waiting = [table.slice(rows)]
        self._rows -= rows

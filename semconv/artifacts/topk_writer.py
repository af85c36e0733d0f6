"""Writing the users of a snapshot: batches in any order become sorted shards, in bounded memory."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from semconv.artifacts.arrow_files import lists_of
from semconv.artifacts.ragged import Int32, Ragged
from semconv.artifacts.sorted_ids import Texts
from semconv.artifacts.topk_shard import STAMP_BYTES, Float32, shard_of, users_schema
from semconv.errors import ArtifactError

ROWS = 65_536
"""Users in one record batch of a shard."""
WAITING = 64 * 2**20
"""Bytes of users that wait in memory before they are spread over the shards."""


def stamp_of(history: Sequence[int] | Int32) -> bytes:
    """What tells whether a whole history, oldest first, has changed: BLAKE2b-128 of its int32 little-endian bytes."""
    return hashlib.blake2b(np.asarray(history, "<i4").tobytes(), digest_size=STAMP_BYTES).digest()


def users_batch(
    user_ids: pa.StringArray,
    items: Int32,
    scores: Float32,
    histories: Sequence[Sequence[int] | Int32],
    stamps: Sequence[bytes] | pa.FixedSizeBinaryArray,
) -> pa.RecordBatch:
    """Rows of a shard from rankings: items int32 (B, kept), scores float32 (B, kept), `NONE` and -inf past the last.

    ``histories`` are what is kept of each history, oldest first; ``stamps`` are `stamp_of` the whole ones.
    """
    kept = histories if isinstance(histories, Ragged) else Ragged.of(histories)
    columns = [
        user_ids,
        lists_of(items.astype(np.int32)),
        lists_of(scores.astype(np.float32)),
        pa.ListArray.from_arrays(pa.array(kept.offsets, pa.int32()), pa.array(kept.values)),
        stamps if isinstance(stamps, pa.Array) else pa.array(stamps, pa.binary(STAMP_BYTES)),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=users_schema(items.shape[1]))


class TopKWriter:
    """Writes the shards of a snapshot from batches in any order; close it with `finish`.

    Users wait, split by shard, in scratch files on the same disk; `finish` sorts one shard at a time. Memory holds
    `WAITING` bytes, two shards, and the ids of all users: choose as many shards as make one small (users x kept x 8
    bytes, and 4 for each item of a history). The bytes written do not depend on the order of the batches.
    """

    def __init__(self, folder: Path, *, shards: int, kept: int) -> None:
        self._folder = folder / "shards"
        self._folder.mkdir()
        self._schema = users_schema(kept)
        self._scratch = [self._folder / f"{shard:05d}.unsorted" for shard in range(shards)]
        self._writers = [pa.ipc.new_stream(str(path), self._schema) for path in self._scratch]
        self._waiting: list[pa.RecordBatch] = []
        self._bytes = 0
        self.written = 0

    def add(self, batch: pa.RecordBatch) -> None:
        """Take in users, schema `users_schema`."""
        self._waiting.append(batch)
        self._bytes += batch.nbytes
        self.written += batch.num_rows
        if self._bytes >= WAITING:
            self._spread()

    def finish(self, users: pa.StringArray) -> None:
        """Sort and write every shard; ``users`` are the ids that must be there, each exactly once.

        Raises `ArtifactError`, naming one, when a user is missing, unknown or there twice.
        """
        self._spread()
        order, ends = _by_shard(users, len(self._writers))
        for writer, scratch, rows in zip(self._writers, self._scratch, np.split(order, ends[:-1]), strict=True):
            writer.close()
            self._sort(scratch, users.take(pa.array(rows)))
            scratch.unlink()

    def _spread(self) -> None:
        if not self._waiting:
            return
        table = pa.Table.from_batches(self._waiting, self._schema).combine_chunks()
        self._waiting, self._bytes = [], 0
        order, ends = _by_shard(table["user_id"].combine_chunks(), len(self._writers))
        for writer, rows in zip(self._writers, np.split(order, ends[:-1]), strict=True):
            if len(rows):
                writer.write_table(table.take(pa.array(rows)))

    def _sort(self, scratch: Path, expected: pa.StringArray) -> None:
        with pa.memory_map(str(scratch)) as source:
            table = pa.ipc.open_stream(source).read_all().combine_chunks()
            ids = table["user_id"].combine_chunks()
            order = pc.sort_indices(ids)
            _require_equal(ids.take(order), expected.sort())
            with pa.ipc.new_file(str(scratch.with_suffix(".arrow")), self._schema) as target:
                for start in range(0, table.num_rows, ROWS):
                    target.write_table(table.take(order.slice(start, ROWS)).combine_chunks(), max_chunksize=ROWS)


def _by_shard(ids: pa.StringArray, shards: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The rows of a column grouped by shard, in their order within one, and where each shard's rows end."""
    at = Texts(ids).at
    shard = np.fromiter((shard_of(at(row), shards) for row in range(len(ids))), np.int32, len(ids))
    return np.argsort(shard, kind="stable"), np.cumsum(np.bincount(shard, minlength=shards))


def _require_equal(found: pa.StringArray, expected: pa.StringArray) -> None:
    """Raise unless two sorted columns hold the same ids, each once."""
    twice = found.slice(1).filter(pc.equal(found.slice(1), found.slice(0, max(len(found) - 1, 0))))
    missing = expected.filter(pc.invert(pc.is_in(expected, found)))
    unknown = found.filter(pc.invert(pc.is_in(found, expected)))
    for wrong, users in (("there twice", twice), ("missing", missing), ("there, but not in the corpus", unknown)):
        if len(users):
            raise ArtifactError(
                f"The snapshot's users are not the corpus's: {users[0]} is {wrong}, with {len(users) - 1} others",
                "Redo the precache stage; if it happens again, it is a defect worth reporting",
            )

"""TopKSnapshot: the best items of every user, computed ahead, with all that is needed to show them.

    shards/00000.arrow ..  one row a user, sorted by the UTF-8 bytes of the id: user_id string,
                           items fixed_size_list<int32>[k], scores fixed_size_list<float32>[k], best first,
                           filled up with -1 and -inf where fewer than k items could be recommended
    items.arrow            the catalogue, one row an item in item order: item_id string, title string (or null),
                           by_id int32 (the item indices in the order of their ids)
    popular.arrow          what to say when nothing better can be said, best first: item int32, score float32

A user's shard is the CRC-32 of the id's UTF-8 bytes modulo the number of shards. All files are uncompressed Arrow IPC
and are read where they lie, memory-mapped: processes on a machine share one copy in the page cache.
"""

from __future__ import annotations

import zlib
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from semconv.artifacts.artifact import Artifact
from semconv.artifacts.ragged import Int32
from semconv.artifacts.sorted_ids import SortedIds, key_of
from semconv.errors import ArtifactError

Float32 = npt.NDArray[np.float32]
NONE = -1
"""Fills ``items`` past the last recommendation."""
ROWS = 65_536
"""Users in one record batch of a shard."""
POPULAR = 2000
"""Popular items kept, at most: enough to fill a list after any history the service accepts is left out."""

ITEMS = pa.schema([("item_id", pa.string()), ("title", pa.string()), ("by_id", pa.int32())])
POPULARITY = pa.schema([("item", pa.int32()), ("score", pa.float32())])


def users_schema(k: int) -> pa.Schema:
    """Schema of a shard whose users have at most ``k`` items."""
    return pa.schema(
        [("user_id", pa.string()), ("items", pa.list_(pa.int32(), k)), ("scores", pa.list_(pa.float32(), k))]
    )


def users_batch(user_ids: pa.StringArray, items: Int32, scores: Float32) -> pa.RecordBatch:
    """Rows of a shard from rankings: items int32 (B, k), scores float32 (B, k), `NONE` and -inf past the last."""
    k = items.shape[1]
    columns = [
        user_ids,
        pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(items, np.int32).ravel()), k),
        pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(scores, np.float32).ravel()), k),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=users_schema(k))


class TopKSnapshot(Artifact):
    """See the module's own text for the layout."""

    kind = "topk"

    @classmethod
    def open(cls, path: str | Path) -> TopKSnapshot:
        """Open and map a snapshot; raises `ArtifactError` when it is absent, unfinished, damaged or of another kind."""
        snapshot = super().open(path)
        _ = snapshot._shards, snapshot._catalogue, snapshot.popular
        return snapshot

    @property
    def k(self) -> int:
        """Most items a user can have here."""
        return int(self.manifest.settings["precache"]["k"])

    @property
    def n_users(self) -> int:
        """Users in the snapshot."""
        return sum(shard.users for shard in self._shards)

    @property
    def n_items(self) -> int:
        """Items in the catalogue, N."""
        return len(self._ids)

    def lookup(self, user_id: str) -> tuple[Int32, Float32] | None:
        """A user's items (int32, best first) and their scores (float32); None for an unknown user."""
        key = key_of(user_id)
        return self._shards[shard_of(key, len(self._shards))].lookup(key)

    def item(self, index: int) -> tuple[str, str | None]:
        """Id and title (None where there is none) of an item by its index."""
        return self._ids.at(index).decode(), self._catalogue["title"][index].as_py()

    def item_index(self, item_id: str) -> int | None:
        """Index of an item by its id; None for one that the catalogue does not hold."""
        return self._ids.find(key_of(item_id))

    def users(self) -> Iterator[pa.RecordBatch]:
        """Every user, in batches of a shard's schema, sorted by id within a shard."""
        for shard in self._shards:
            yield from shard.batches

    @cached_property
    def popular(self) -> tuple[Int32, Float32]:
        """Popular items (int32, best first, at most `POPULAR`) and their scores (float32)."""
        batch = _single(self.path / "popular.arrow", POPULARITY)
        return batch["item"].to_numpy(), batch["score"].to_numpy()

    @cached_property
    def _catalogue(self) -> pa.RecordBatch:
        return _single(self.path / "items.arrow", ITEMS)

    @cached_property
    def _ids(self) -> SortedIds:
        return SortedIds(self._catalogue["item_id"], self._catalogue["by_id"])

    @cached_property
    def _shards(self) -> list[_Shard]:
        files = sorted((self.path / "shards").glob("*.arrow"))
        if not files:
            raise ArtifactError(f"{self.path} holds no shards", "Redo the precache stage")
        return [_Shard(file, self.k) for file in files]


class _Shard:
    """One mapped file of sorted users."""

    def __init__(self, path: Path, k: int) -> None:
        self.batches = [batch for batch in _batches(path, users_schema(k)) if batch.num_rows]
        self.users = sum(batch.num_rows for batch in self.batches)
        self._ids = [SortedIds(batch["user_id"]) for batch in self.batches]
        self._firsts = [ids.at(0) for ids in self._ids]
        self._items = [batch["items"].values.to_numpy().reshape(-1, k) for batch in self.batches]
        self._scores = [batch["scores"].values.to_numpy().reshape(-1, k) for batch in self.batches]

    def lookup(self, key: bytes) -> tuple[Int32, Float32] | None:
        """The row of this id, without its filling."""
        batch = bisect_right(self._firsts, key) - 1
        if batch < 0:
            return None
        row = self._ids[batch].find(key)
        if row is None:
            return None
        items = self._items[batch][row]
        length = len(items) if items[-1] != NONE else int(np.argmax(items == NONE))
        return items[:length], self._scores[batch][row][:length]


class TopKWriter:
    """Writes the shards of a snapshot from batches in any order; close it with `finish`.

    Users wait, split by shard, in scratch files on the same disk; `finish` sorts one shard at a time, so that
    memory holds about two shards at most whatever the number of users.
    """

    def __init__(self, folder: Path, *, shards: int, k: int) -> None:
        self._folder = folder / "shards"
        self._folder.mkdir()
        self._schema = users_schema(k)
        self._scratch = [self._folder / f"{shard:05d}.unsorted" for shard in range(shards)]
        self._writers = [pa.ipc.new_stream(str(path), self._schema) for path in self._scratch]
        self.written = 0

    def add(self, batch: pa.RecordBatch) -> None:
        """Take in users, schema `users_schema`."""
        shards = _shards_of(batch["user_id"], len(self._writers))
        for shard in np.unique(shards):
            self._writers[shard].write_batch(batch.filter(pa.array(shards == shard)))
        self.written += batch.num_rows

    def finish(self, users: pa.StringArray) -> None:
        """Sort and write every shard; ``users`` are the ids that must be there, each exactly once.

        Raises `ArtifactError`, naming one, when a user is missing, unknown or there twice.
        """
        expected_shards = _shards_of(users, len(self._writers))
        for shard, (writer, scratch) in enumerate(zip(self._writers, self._scratch, strict=True)):
            writer.close()
            with pa.memory_map(str(scratch)) as source:
                table = pa.ipc.open_stream(source).read_all().combine_chunks()
                ids = table["user_id"].combine_chunks()
                order = pc.sort_indices(ids)
                _require_equal(ids.take(order), users.filter(pa.array(expected_shards == shard)).sort())
                with pa.ipc.new_file(str(scratch.with_suffix(".arrow")), self._schema) as target:
                    for start in range(0, table.num_rows, ROWS):
                        part = table.take(order.slice(start, ROWS)).combine_chunks()
                        target.write_table(part, max_chunksize=ROWS)
            scratch.unlink()


def write_catalogue(
    folder: Path,
    *,
    item_ids: Sequence[str],
    titles: Sequence[str | None],
    popularity: npt.NDArray[np.integer[Any]],
    blocked: Int32 | None = None,
) -> None:
    """Write the catalogue and the popular items: those with the highest ``popularity`` (N), ties by item index.

    Items whose indices are ``blocked`` stay in the catalogue, and are never among the popular ones.
    """
    ids = pa.array(item_ids, pa.string())
    by_id = pc.sort_indices(ids).cast(pa.int32())
    _write(
        folder / "items.arrow", pa.RecordBatch.from_arrays([ids, pa.array(titles, pa.string()), by_id], schema=ITEMS)
    )
    ranked = np.argsort(-popularity, kind="stable")
    best = (ranked if blocked is None else ranked[~np.isin(ranked, blocked)])[:POPULAR]
    columns = [pa.array(best.astype(np.int32)), pa.array(popularity[best].astype(np.float32))]
    _write(folder / "popular.arrow", pa.RecordBatch.from_arrays(columns, schema=POPULARITY))


def shard_of(key: bytes, shards: int) -> int:
    """The shard of a user by the UTF-8 bytes of the id: CRC-32 modulo the number of shards."""
    return zlib.crc32(key) % shards


def _shards_of(ids: pa.StringArray, shards: int) -> npt.NDArray[np.int64]:
    return np.fromiter((shard_of(user_id.encode(), shards) for user_id in ids.to_pylist()), np.int64, len(ids))


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


def _write(path: Path, batch: pa.RecordBatch) -> None:
    with pa.ipc.new_file(str(path), batch.schema) as writer:
        writer.write_batch(batch)


def _batches(path: Path, schema: pa.Schema) -> list[pa.RecordBatch]:
    """All record batches of a file, mapped; raises `ArtifactError` when it is not what it should be."""
    try:
        reader = pa.ipc.open_file(pa.memory_map(str(path)))
        batches = [reader.get_batch(index) for index in range(reader.num_record_batches)]
    except (OSError, pa.ArrowInvalid) as error:
        raise ArtifactError(f"{path} cannot be read: {error}", "Redo the precache stage") from None
    if not reader.schema.equals(schema):
        raise ArtifactError(f"{path} has other columns than a snapshot's", "Redo the precache stage")
    return batches


def _single(path: Path, schema: pa.Schema) -> pa.RecordBatch:
    batches = _batches(path, schema)
    if len(batches) != 1:
        raise ArtifactError(f"{path} has {len(batches)} record batches, not one", "Redo the precache stage")
    return batches[0]

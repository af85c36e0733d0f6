"""TopKSnapshot: the best items of every user, computed ahead, with all that is needed to answer from them.

    shards/00000.arrow ..  one row a user, sorted by the UTF-8 bytes of the id: user_id string,
                           items fixed_size_list<int32>[kept], scores fixed_size_list<float32>[kept], best first,
                           filled up with -1 and -inf where fewer could be recommended,
                           history list<int32> (oldest first; the last ``precache.history`` items, by default all),
                           stamp fixed_size_binary[16] (BLAKE2b-128 of the whole history, int32 little-endian)
    items.arrow            the catalogue, one row an item in item order: item_id string, title, brand string (null where
                           unknown), categories list<string>, codes fixed_size_list<int32>[L], popularity int64,
                           blocked bool, by_id int32 (the item indices in the order of their ids)
    similar.arrow          one row an item, best neighbours first: items fixed_size_list<int32>[S],
                           scores fixed_size_list<float32>[S], filled up with -1 and -inf
    popular.arrow          what to say when nothing better can be said, best first: item int32, score float32

The manifest's counts have ``users``, ``items`` and, where exported events are in the histories, ``events``: {"store",
"seq"}, the last of them. A user's shard is the CRC-32 of the id's UTF-8 bytes modulo the number of shards. All files
are uncompressed Arrow IPC and are read where they lie, memory-mapped: processes on a machine share one copy in the page
cache. A file that somebody shortens while it is mapped ends the process that reads past its new end, so a service maps
a copy that is its own (`semconv.artifacts.located`).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from heapq import merge
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa

from semconv.artifacts.arrow_files import matrix_of, require_schema, single, width_of
from semconv.artifacts.artifact import Artifact
from semconv.artifacts.ragged import Int32
from semconv.artifacts.sorted_ids import SortedIds, TextLists, Texts, key_of
from semconv.artifacts.topk_catalogue import POPULARITY, CatalogueItem, items_schema, similar_schema
from semconv.artifacts.topk_shard import NONE, Float32, Known, Shard, shard_of
from semconv.errors import ArtifactError


class TopKSnapshot(Artifact):
    """See the module's own text for the layout."""

    kind = "topk"

    @classmethod
    def open(cls, path: str | Path) -> TopKSnapshot:
        """Open and map a snapshot; raises `ArtifactError` when it is absent, unfinished, damaged or of another kind."""
        snapshot = super().open(path)
        _ = snapshot._shards, snapshot.catalogue, snapshot.popular, snapshot.neighbours
        return snapshot

    @property
    def k(self) -> int:
        """Most items that a request can ask for."""
        return int(self.manifest.settings["precache"]["k"])

    @property
    def kept(self) -> int:
        """Most items a user can have here, `k` or more."""
        return self._shards[0].kept

    @property
    def n_users(self) -> int:
        """Users in the snapshot."""
        return sum(shard.users for shard in self._shards)

    @property
    def n_items(self) -> int:
        """Items in the catalogue, N."""
        return int(self.catalogue.num_rows)

    @property
    def events(self) -> tuple[str, int] | None:
        """The event store whose exported events are in the histories, and the last of them; None without any."""
        exported = self.manifest.counts.get("events")
        return (str(exported["store"]), int(exported["seq"])) if exported else None

    def lookup(self, user_id: str) -> Known | None:
        """A user's items, scores and recent history; None for an unknown user."""
        key = key_of(user_id)
        return self._shards[shard_of(key, len(self._shards))].lookup(key)

    def stamp(self, user_id: str) -> bytes | None:
        """`stamp_of` the whole history that the user was ranked with; None for an unknown user."""
        key = key_of(user_id)
        return self._shards[shard_of(key, len(self._shards))].stamp(key)

    def users(self) -> Iterator[pa.RecordBatch]:
        """Every user, in batches of a shard's schema, sorted by id within a shard."""
        for shard in self._shards:
            yield from shard.batches

    def user_ids(self, prefix: str, limit: int) -> list[str]:
        """The first ``limit`` ids that begin with ``prefix``, in the order of their UTF-8 bytes."""
        key = key_of(prefix)
        found = merge(*(shard.following(key) for shard in self._shards))
        return [user_id.decode() for user_id in islice(found, limit)]

    def item(self, index: int) -> CatalogueItem:
        """What is said of an item, by its index."""
        ids, titles, brands, categories = self._said
        return CatalogueItem(ids.at(index).decode(), titles.text(index), brands.text(index), categories.at(index))

    def item_index(self, item_id: str) -> int | None:
        """Index of an item by its id; None for one that the catalogue does not hold."""
        return self._ids.find(key_of(item_id))

    def codes(self, index: int) -> tuple[int, ...]:
        """Codes of an item, L of them."""
        return tuple(self._codes[index].tolist())

    def similar(self, index: int) -> tuple[Int32, Float32]:
        """Neighbours of an item (int32, best first) and their scores (float32)."""
        items, scores = self.neighbours
        length = int(np.count_nonzero(items[index] != NONE))
        return items[index, :length], scores[index, :length]

    @cached_property
    def catalogue(self) -> pa.RecordBatch:
        """The whole catalogue, schema `items_schema`; row number = item index."""
        path = self.path / "items.arrow"
        batch = single(path)
        require_schema(path, batch.schema, items_schema(width_of(batch.schema, "codes")))
        return batch

    @cached_property
    def popular(self) -> tuple[Int32, Float32]:
        """Popular items (int32, best first) and their scores (float32)."""
        path = self.path / "popular.arrow"
        batch = single(path)
        require_schema(path, batch.schema, POPULARITY)
        return batch["item"].to_numpy(), batch["score"].to_numpy()

    @cached_property
    def blocked(self) -> Int32:
        """Indices of the items that are never recommended, int32."""
        return np.flatnonzero(self.catalogue["blocked"].to_numpy(zero_copy_only=False)).astype(np.int32)

    @cached_property
    def neighbours(self) -> tuple[Int32, Float32]:
        """Neighbours of all items and their scores, (N, S), filled up with `NONE` and -inf."""
        path = self.path / "similar.arrow"
        batch = single(path)
        require_schema(path, batch.schema, similar_schema(width_of(batch.schema, "items")))
        if batch.num_rows != self.n_items:
            raise ArtifactError(
                f"{path} speaks of {batch.num_rows} items, the catalogue beside it of {self.n_items}",
                "Redo the precache stage",
            )
        return matrix_of(batch["items"]), matrix_of(batch["scores"])

    @cached_property
    def _codes(self) -> Int32:
        return matrix_of(self.catalogue["codes"])

    @cached_property
    def _ids(self) -> SortedIds:
        return SortedIds(self.catalogue["item_id"], self.catalogue["by_id"])

    @cached_property
    def _said(self) -> tuple[Texts, Texts, Texts, TextLists]:
        columns = self.catalogue
        texts = (Texts(columns[name]) for name in ("item_id", "title", "brand"))
        return *texts, TextLists(columns["categories"])  # type: ignore[return-value]

    @cached_property
    def _shards(self) -> list[Shard]:
        files = sorted((self.path / "shards").glob("*.arrow"))
        if not files:
            raise ArtifactError(f"{self.path} holds no shards", "Redo the precache stage")
        shards = [Shard(file) for file in files]
        widths = {shard.kept for shard in shards}
        if len(widths) != 1 or max(widths) < self.k:
            raise ArtifactError(
                f"The shards of {self.path} hold {sorted(widths)} items a user, its settings ask for {self.k}",
                "Redo the precache stage",
            )
        return shards

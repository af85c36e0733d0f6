"""The catalogue's side of a snapshot: what is said of each item, its neighbours, and the popular ones."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from semconv.artifacts.arrow_files import lists_of, write_single
from semconv.artifacts.ragged import Int32
from semconv.artifacts.topk_shard import Float32

POPULAR = 2000
"""Popular items kept, at most: enough to fill a list after any history the service accepts is left out."""
METADATA = {"title": pa.string(), "brand": pa.string(), "categories": pa.list_(pa.string())}
"""What may be said of an item, as ``precache.metadata`` chooses."""
POPULARITY = pa.schema([("item", pa.int32()), ("score", pa.float32())])


class CatalogueItem(NamedTuple):
    """What the snapshot says of an item; None and () where it says nothing."""

    item_id: str
    title: str | None
    brand: str | None
    categories: tuple[str, ...]


def items_schema(levels: int) -> pa.Schema:
    """Schema of the catalogue whose items have ``levels`` codes."""
    return pa.schema(
        [
            ("item_id", pa.string()),
            *METADATA.items(),
            ("codes", pa.list_(pa.int32(), levels)),
            ("popularity", pa.int64()),
            ("blocked", pa.bool_()),
            ("by_id", pa.int32()),
        ]
    )


def similar_schema(neighbours: int) -> pa.Schema:
    """Schema of the neighbours, at most ``neighbours`` of each item."""
    return pa.schema([("items", pa.list_(pa.int32(), neighbours)), ("scores", pa.list_(pa.float32(), neighbours))])


def write_catalogue(
    folder: Path,
    *,
    items: pa.Table,
    codes: Int32,
    popularity: npt.NDArray[np.integer[Any]],
    blocked: Int32 | None = None,
    metadata: Collection[str] = tuple(METADATA),
) -> None:
    """Write the catalogue and the popular items: those with the highest ``popularity`` (N), ties by item index.

    ``items`` has ``item_id`` and each column of ``metadata`` (title, brand, categories; others are left out), as a
    corpus's catalogue; ``codes`` are int32 (N, L). Items whose indices are ``blocked`` stay in the catalogue, and are
    never among the popular ones.
    """
    ids = items["item_id"].combine_chunks()
    barred = np.zeros(len(ids), bool)
    barred[blocked if blocked is not None else []] = True
    said = [
        items[name].combine_chunks().cast(kind) if name in metadata else pa.nulls(len(ids), kind)
        for name, kind in METADATA.items()
    ]
    told = [lists_of(codes.astype(np.int32)), pa.array(popularity, pa.int64()), pa.array(barred)]
    columns = [ids, *said, *told, pc.sort_indices(ids).cast(pa.int32())]
    write_single(folder / "items.arrow", pa.RecordBatch.from_arrays(columns, schema=items_schema(codes.shape[1])))
    ranked = np.argsort(-popularity, kind="stable")
    best = ranked[~barred[ranked]][:POPULAR]
    columns = [pa.array(best.astype(np.int32)), pa.array(popularity[best].astype(np.float32))]
    write_single(folder / "popular.arrow", pa.RecordBatch.from_arrays(columns, schema=POPULARITY))


def write_similar(folder: Path, items: Int32, scores: Float32) -> None:
    """Write each item's neighbours, best first: int32 and float32 (N, S), `NONE` past the last."""
    columns = [lists_of(items.astype(np.int32)), lists_of(scores.astype(np.float32))]
    write_single(folder / "similar.arrow", pa.RecordBatch.from_arrays(columns, schema=similar_schema(items.shape[1])))

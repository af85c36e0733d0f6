"""A snapshot as Parquet files, with ids in the place of indices, for whoever reads it elsewhere.

users/00000.parquet ..   user_id string, items list<string>, scores list<float32>, best first,
                         history list<string>, oldest first
items.parquet            item_id, title, brand string, categories list<string>, codes list<int32>,
                         popularity int64, blocked bool, similar list<string>, similar_scores list<float32>
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from semconv.artifacts.arrow_files import matrix_of
from semconv.artifacts.ragged import Int32
from semconv.artifacts.topk import TopKSnapshot
from semconv.artifacts.topk_shard import NONE


def export_parquet(snapshot: TopKSnapshot, folder: Path) -> None:
    """Write all users and items of a snapshot; memory holds one record batch of users at a time."""
    item_ids = snapshot.catalogue["item_id"]
    (folder / "users").mkdir()
    for number, batch in enumerate(snapshot.users()):
        items, scores = _listed(item_ids, matrix_of(batch["items"]), matrix_of(batch["scores"]))
        histories = batch["history"]
        history = pa.ListArray.from_arrays(histories.offsets, item_ids.take(histories.values))
        columns = {"user_id": batch["user_id"], "items": items, "scores": scores, "history": history}
        pq.write_table(pa.table(columns), folder / "users" / f"{number:05d}.parquet")
    said = pa.Table.from_batches([snapshot.catalogue]).drop_columns("by_id")
    items, scores = _listed(item_ids, *snapshot.neighbours)
    pq.write_table(
        said.append_column("similar", items).append_column("similar_scores", scores), folder / "items.parquet"
    )


def _listed(item_ids: pa.StringArray, items: Int32, scores: npt.NDArray[np.float32]) -> tuple[pa.Array, pa.Array]:
    """Rows of indices and scores as lists of ids and of scores, without what fills them up."""
    there = items != NONE
    offsets = pa.array(np.concatenate([[0], np.cumsum(there.sum(axis=1))]), pa.int32())
    ids = item_ids.take(pa.array(items[there]))
    return pa.ListArray.from_arrays(offsets, ids), pa.ListArray.from_arrays(offsets, pa.array(scores[there]))

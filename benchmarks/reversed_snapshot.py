"""Another snapshot of a run in which every list is another: the same items from their end."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from semconv.artifacts import (
    NONE,
    Corpus,
    ItemTokens,
    Ragged,
    Recommender,
    Run,
    TopKSnapshot,
    TopKWriter,
    finish,
    staging,
    users_batch,
    write_catalogue,
    write_similar,
)
from semconv.artifacts.arrow_files import matrix_of


def write_reversed(snapshot: TopKSnapshot, run: Run, target: Path) -> TopKSnapshot:
    """``snapshot`` with every list from its end, at ``target``: scores rise where those of the first fall."""
    columns = snapshot.catalogue
    made = {kind.kind: kind.open(run.artifact(kind.kind)) for kind in (Corpus, ItemTokens, Recommender)}
    with staging(target) as folder:
        codes, popularity = matrix_of(columns["codes"]), columns["popularity"].to_numpy()
        write_catalogue(folder, items=pa.Table.from_batches([columns]), codes=codes, popularity=popularity)
        write_similar(folder, *snapshot.neighbours)
        writer = TopKWriter(folder, shards=1, kept=snapshot.kept)
        for users in snapshot.users():
            writer.add(_reversed(users))
        writer.finish(pa.concat_arrays([users["user_id"] for users in snapshot.users()]))
        finish(
            folder,
            "topk",
            settings=snapshot.manifest.settings,
            inputs=made,
            counts=snapshot.manifest.counts,
            request="reversed",
            seconds=0,
        )
    return TopKSnapshot.open(target)


def _reversed(users: pa.RecordBatch) -> pa.RecordBatch:
    """What fills a list up stays at its end."""
    items, scores = matrix_of(users["items"]), matrix_of(users["scores"])
    lengths, places = (items != NONE).sum(axis=1, keepdims=True), np.arange(items.shape[1])
    order = np.where(places < lengths, lengths - 1 - places, places)
    items, scores = (np.take_along_axis(found, order, axis=1) for found in (items, scores))
    history = users["history"]
    kept = Ragged(history.offsets.to_numpy().astype(np.int64), history.values.to_numpy())
    return users_batch(users["user_id"], items, scores, kept, users["stamp"])

"""Other snapshots of the same run: one that differs from the first in every list, and damaged ones."""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

from semconv.artifacts import (
    Corpus,
    ItemTokens,
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


def damaged(snapshot: TopKSnapshot, target: Path, damage: Callable[[Path], object]) -> Path:
    """A version of the snapshot that no node has a copy of, at ``target``, after ``damage`` was done to it."""
    shutil.copytree(snapshot.path, target)
    manifest = json.loads((target / "manifest.json").read_text())
    (target / "manifest.json").write_text(json.dumps(manifest | {"seconds": secrets.randbits(32)}))
    damage(target)
    return target


def truncate(folder: Path) -> None:
    """Cut the last bytes off the first shard."""
    shard = folder / "shards" / "00000.arrow"
    shard.write_bytes(shard.read_bytes()[:-64])


def write_reversed(snapshot: TopKSnapshot, run: Run, target: Path) -> TopKSnapshot:
    """``snapshot`` with every list from its end, at ``target``; the lists must be full."""
    columns = snapshot.catalogue
    made = {kind.kind: kind.open(run.artifact(kind.kind)) for kind in (Corpus, ItemTokens, Recommender)}
    with staging(target) as folder:
        codes, popularity = matrix_of(columns["codes"]), columns["popularity"].to_numpy()
        write_catalogue(folder, items=pa.Table.from_batches([columns]), codes=codes, popularity=popularity)
        write_similar(folder, *snapshot.neighbours)
        writer = TopKWriter(folder, shards=1, kept=snapshot.kept)
        for users in snapshot.users():
            items, scores = matrix_of(users["items"]), matrix_of(users["scores"])
            assert (items >= 0).all()
            told = users["user_id"], items[:, ::-1], scores[:, ::-1], users["history"].to_pylist(), users["stamp"]
            writer.add(users_batch(*told))
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

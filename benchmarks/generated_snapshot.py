"""A generated snapshot of any size: written as precache writes one, and looked up in. Imports no torch.

python -m benchmarks.generated_snapshot build FOLDER --users 1000000
python -m benchmarks.generated_snapshot lookup FOLDER
python -m benchmarks.generated_snapshot hold FOLDER

The first two print JSON. Lists and histories are drawn at random; the time that takes is not counted. The third looks
users up, says so in a line, and stays as it is until its standard input ends.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from semconv.artifacts import (
    Ragged,
    TopKSnapshot,
    TopKWriter,
    finish,
    staging,
    users_batch,
    write_catalogue,
    write_similar,
)
from semconv.artifacts.topk_catalogue import METADATA
from semconv.artifacts.topk_shard import STAMP_BYTES

KEPT, LEVELS, SIMILAR = 50, 4, 20
ITEMS = 100_000
LONGEST = 20
"""Items of a history; it has half as many on average."""
BATCH = 8192
USERS_PER_SHARD = 150_000
LOOKUPS, WARM = 200_000, 50_000
SEED = 17


def build(folder: Path, users: int) -> dict[str, float]:
    """Write a snapshot to ``folder``; ``build_s`` is the time of its writing, to the published manifest."""
    rng = np.random.default_rng(SEED)
    ids, catalogue = user_ids(np.arange(users)), _catalogue()
    codes, similar = rng.integers(0, 256, (ITEMS, LEVELS)), rng.integers(0, ITEMS, (ITEMS, SIMILAR))
    seconds, mark = 0.0, time.perf_counter()
    with staging(folder) as out:
        write_catalogue(out, items=catalogue, codes=codes, popularity=rng.integers(0, 1000, ITEMS))
        write_similar(out, similar, np.ones_like(similar, np.float32))
        writer = TopKWriter(out, shards=max(1, users // USERS_PER_SHARD), kept=KEPT)
        seconds += time.perf_counter() - mark
        for batch in _ranked(ids, rng):
            mark = time.perf_counter()
            writer.add(batch)
            seconds += time.perf_counter() - mark
        mark = time.perf_counter()
        writer.finish(ids)
        asked = {"precache": {"k": KEPT}}
        finish(out, "topk", settings=asked, inputs={}, counts={"users": users}, request="generated", seconds=0)
    return {"build_s": seconds + time.perf_counter() - mark, "users": users}


def lookup(folder: Path) -> dict[str, float]:
    """Open a snapshot and look up known users drawn at random, one at a time.

    Before, every file is read once and other users are looked up.
    """
    started = time.perf_counter()
    snapshot = TopKSnapshot.open(folder)
    opened = time.perf_counter() - started
    snapshot.verify()
    drawn = _drawn(snapshot, WARM + LOOKUPS)
    for user_id in drawn[:WARM]:
        snapshot.lookup(user_id)
    took = np.empty(LOOKUPS, np.int64)
    for place, user_id in enumerate(drawn[WARM:]):
        mark = time.perf_counter_ns()
        found = snapshot.lookup(user_id)
        took[place] = time.perf_counter_ns() - mark
        assert found is not None
        assert len(found.items) == KEPT
    p50, p99 = np.percentile(took / 1000, [50, 99])
    gib = sum(file["bytes"] for file in snapshot.manifest.files.values()) / 2**30
    return {"open_s": opened, "lookup_p50_us": float(p50), "lookup_p99_us": float(p99), "gib": gib}


def hold(folder: Path) -> None:
    """Look users up, as a service does that has run for a while, and keep what that takes until told."""
    snapshot = TopKSnapshot.open(folder)
    for user_id in _drawn(snapshot, WARM):
        found = snapshot.lookup(user_id)
        assert found is not None
        found.items.sum(), found.scores.sum(), found.history.sum()  # as an answer does that is made of them
    print("held", flush=True)
    sys.stdin.read()


def _drawn(snapshot: TopKSnapshot, count: int) -> list[str]:
    """Known users, with replacement."""
    drawn = np.random.default_rng(SEED + 1).integers(0, snapshot.n_users, count)
    return user_ids(drawn).to_pylist()  # type: ignore[no-any-return]  # pyarrow is untyped


def user_ids(numbers: npt.NDArray[np.int64]) -> pa.StringArray:
    """The ids of users by their numbers."""
    return pc.binary_join_element_wise("user-", pa.array(numbers).cast(pa.string()), "")


def _catalogue() -> pa.Table:
    said = {name: pa.nulls(ITEMS, kind) for name, kind in METADATA.items()}
    return pa.table({"item_id": pa.array(np.arange(ITEMS)).cast(pa.string()), **said})


def _ranked(ids: pa.StringArray, rng: np.random.Generator) -> Iterator[pa.RecordBatch]:
    """All users in the order of their numbers, which is not that of their ids."""
    for start in range(0, len(ids), BATCH):
        some = ids.slice(start, BATCH)
        items = rng.integers(0, ITEMS, (len(some), KEPT), np.int32)
        scores = -np.cumsum(rng.random((len(some), KEPT), np.float32), axis=1)
        offsets = np.concatenate([[0], np.cumsum(rng.integers(0, LONGEST + 1, len(some)))])
        histories = Ragged(offsets, rng.integers(0, ITEMS, offsets[-1], np.int32))
        noise = pa.py_buffer(rng.bytes(STAMP_BYTES * len(some)))
        stamps = pa.FixedSizeBinaryArray.from_buffers(pa.binary(STAMP_BYTES), len(some), [None, noise])
        yield users_batch(some, items, scores, histories, stamps)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.generated_snapshot")
    parser.add_argument("step", choices=["build", "lookup", "hold"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--users", type=int, default=1_000_000)
    options = parser.parse_args()
    if options.step == "hold":
        hold(options.folder)
    else:
        print(json.dumps(build(options.folder, options.users) if options.step == "build" else lookup(options.folder)))

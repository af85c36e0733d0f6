"""A small shop whose users' lists differ from one another, written as a snapshot."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from semconv.artifacts import (
    NONE,
    TopKSnapshot,
    TopKWriter,
    finish,
    staging,
    stamp_of,
    users_batch,
    write_catalogue,
    write_similar,
)

K, LEVELS = 3, 4
USERS = [f"user {number}" for number in range(20)]
CATALOGUE = ["zebra", "Äpfel", "apple", "", "日本"]
ITEMS = pa.table(
    {
        "item_id": CATALOGUE,
        "title": ["Zebra", "Äpfel & Birnen", None, "Nameless", "日本の本"],
        "brand": ["Zoo", None, "Orchard", "", "本"],
        "categories": pa.array([["Animals", "Stripes"], ["Fruit"], None, [], ["Fruit", "本"]], pa.list_(pa.string())),
    }
)
CODES = np.arange(len(CATALOGUE) * LEVELS, dtype=np.int32).reshape(-1, LEVELS)
POPULARITY = np.array([1, 5, 0, 5, 2])
SIMILAR = np.array([[1, 2], [0, NONE], [NONE, NONE], [4, 0], [3, 2]])
SIMILARITY = np.where(SIMILAR == NONE, -np.inf, 0.5)


def answer(number: int) -> tuple[list[int], list[float]]:
    """A list that belongs to one user only: its length and scores depend on the user's number."""
    length = number % (K + 1)
    return [(number + place) % len(CATALOGUE) for place in range(length)], [number - place for place in range(length)]


def history_of(number: int) -> list[int]:
    """A history of 0 to 4 items."""
    return [(number * 3 + place) % len(CATALOGUE) for place in range(number % 5)]


def rows(users: Sequence[str], first: int) -> pa.RecordBatch:
    """Users as rows of a shard; the first of them has the number ``first``."""
    items, scores = np.full((len(users), K), NONE, np.int32), np.full((len(users), K), -np.inf, np.float32)
    for row in range(len(users)):
        found = answer(first + row)
        items[row, : len(found[0])], scores[row, : len(found[1])] = found
    histories = [history_of(first + row) for row in range(len(users))]
    return users_batch(pa.array(users, pa.string()), items, scores, histories, [stamp_of(one) for one in histories])


def write_items(folder: Path, **more: Any) -> None:
    """The files of the catalogue; ``more`` for `write_catalogue`."""
    write_catalogue(folder, items=ITEMS, codes=CODES, popularity=POPULARITY, **more)
    write_similar(folder, SIMILAR, SIMILARITY)


def write_snapshot(
    target: Path,
    users: Sequence[str],
    *,
    shards: int = 4,
    step: int = 7,
    expected: Sequence[str] | None = None,
    k: int = K,
    counts: dict[str, Any] | None = None,
    **more: Any,
) -> TopKSnapshot:
    """Write and open the snapshot of these users; ``expected`` are said to be the corpus's, where others than they."""
    with staging(target) as folder:
        write_items(folder, **more)
        writer = TopKWriter(folder, shards=shards, kept=K)
        for start in range(0, len(users), step):
            writer.add(rows(users[start : start + step], start))
        writer.finish(pa.array(users if expected is None else expected, pa.string()))
        asked = {"precache": {"k": k, "shards": shards}}
        finish(
            folder,
            "topk",
            settings=asked,
            inputs={},
            counts=counts or {"users": len(users), "items": len(CATALOGUE)},
            request="asked",
            seconds=0,
        )
    return TopKSnapshot.open(target)

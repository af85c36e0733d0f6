"""Small corpora for tests of the collaborative models."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from semconv.artifacts import Corpus, finish, staging
from semconv.artifacts.corpus import ITEMS, SEQUENCES

CorpusMaker = Callable[[Sequence[Sequence[int]], int], Corpus]


@pytest.fixture
def make_corpus(tmp_path: Path) -> CorpusMaker:
    """Makes a leave-one-out corpus of given sequences over ``n_items`` items."""

    def make(sequences: Sequence[Sequence[int]], n_items: int) -> Corpus:
        target = tmp_path / f"corpus-{len(list(tmp_path.iterdir()))}"
        users = [
            {"user_id": f"u{u}", "items": items, "train_end": len(items) - 2, "valid_end": len(items) - 1}
            for u, items in enumerate(sequences)
        ]
        with staging(target) as folder:
            for name, rows, schema in (
                ("items", [{"item_id": f"i{i}", "title": f"item {i}"} for i in range(n_items)], ITEMS),
                ("sequences", users, SEQUENCES),
            ):
                (folder / name).mkdir()
                pq.write_table(pa.Table.from_pylist(rows, schema=schema), folder / name / "part-0.parquet")
            finish(folder, "corpus", settings={}, inputs={}, counts={}, request="", seconds=0)
        return Corpus.open(target)

    return make

"""Corpus: who has a target in a split, and what may be seen before it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st

from semconv.artifacts import Corpus, Ragged, finish, staging
from semconv.artifacts.corpus import ITEMS, SEQUENCES


def write(path: Path, sequences: list[tuple[list[int], int, int]], items: int = 9) -> Corpus:
    with staging(path) as folder:
        (folder / "items").mkdir()
        (folder / "sequences").mkdir()
        catalogue = [{"item_id": f"i{n}", "title": f"title {n}", "categories": []} for n in range(items)]
        pq.write_table(pa.Table.from_pylist(catalogue, schema=ITEMS), folder / "items" / "part-00000.parquet")
        rows = [
            {"user_id": f"u{n}", "items": row, "times": None, "train_end": train_end, "valid_end": valid_end}
            for n, (row, train_end, valid_end) in enumerate(sequences)
        ]
        half = len(rows) // 2
        for part, some in enumerate((rows[:half], rows[half:])):
            table = pa.Table.from_pylist(some, schema=SEQUENCES)
            pq.write_table(table, folder / "sequences" / f"part-{part:05d}.parquet")
        finish(folder, "corpus", settings={}, inputs={}, counts={}, request="", seconds=0)
    return Corpus.open(path)


def test_splits_show_the_history_before_the_target_and_nothing_after(tmp_path: Path) -> None:
    corpus = write(tmp_path / "corpus", [([1, 2, 3, 4], 2, 3), ([5, 6], 2, 2), ([7, 8, 0], 0, 1), ([4, 3, 2], 1, 3)])
    assert [list(row) for row in corpus.training()] == [[1, 2], [5, 6], [], [4]]
    valid, test = corpus.split("valid"), corpus.split("test")
    assert valid.users.tolist() == [0, 2, 3]
    assert [list(row) for row in valid.histories] == [[1, 2], [], [4]]
    assert valid.targets.tolist() == [3, 7, 3]
    assert test.users.tolist() == [0, 2]
    assert [list(row) for row in test.histories] == [[1, 2, 3], [7]]
    assert test.targets.tolist() == [4, 8]
    assert (corpus.n_users, corpus.n_items, corpus.user_ids[3], corpus.item_index["i8"]) == (4, 9, "u3", 8)


rows_of_ints = st.lists(st.lists(st.integers(0, 99), max_size=6), max_size=8)


@given(rows_of_ints, st.data())
def test_ragged_agrees_with_lists(rows: list[list[int]], data: st.DataObject) -> None:
    ragged = Ragged.of(rows)
    assert [row.tolist() for row in ragged] == rows
    assert ragged.lengths.tolist() == [len(row) for row in rows]
    keep = [data.draw(st.integers(0, len(row))) for row in rows]
    assert [r.tolist() for r in ragged.prefix(np.array(keep, np.int64))] == [
        row[:n] for row, n in zip(rows, keep, strict=True)
    ]
    chosen = data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=5)) if rows else []
    assert [r.tolist() for r in ragged.take(np.array(chosen, np.int64))] == [rows[n] for n in chosen]

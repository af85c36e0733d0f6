"""A small corpus with awkward titles, written by the real writers, and rankers that know what they do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from semconv.artifacts import Corpus, finish, staging
from semconv.artifacts.corpus import ITEMS, SEQUENCES
from semconv.artifacts.ragged import Int32
from semconv.recommend.ranker import NO_ITEM, Ranking

HOSTILE = "<script>alert('1')</script> & \"co\" <img src=https://evil.example/x.png>"
N_ITEMS, N_USERS = 30, 25


def make_corpus(target: Path) -> Corpus:
    """N_USERS users of 3 to 8 items each, among N_ITEMS items; item 0 has a hostile title, item 1 has none.

    All begin with item 0, and every fifth ends with it: a purchase again, which no filtered ranking can hit.
    """
    rng = np.random.default_rng(3)
    titles = [HOSTILE, None, *(f"Thing {number}" for number in range(2, N_ITEMS))]
    items = [
        {"item_id": f"i{n}", "title": title, "brand": None, "description": None, "categories": []}
        for n, title in enumerate(titles)
    ]
    sequences = []
    for user in range(N_USERS):
        length = int(rng.integers(3, 9))
        bought = [0, *rng.choice(np.arange(1, N_ITEMS), size=length - 1, replace=False).tolist()]
        if user % 5 == 0:
            bought[-1] = 0
        row = {"user_id": f"secret-{user}", "items": bought, "times": None}
        sequences.append({**row, "train_end": length - 2, "valid_end": length - 1})
    with staging(target) as folder:
        for name, rows, schema in (("items", items, ITEMS), ("sequences", sequences, SEQUENCES)):
            (folder / name).mkdir()
            pq.write_table(pa.Table.from_pylist(rows, schema), folder / name / "part-0.parquet")
        finish(folder, "corpus", settings={"corpus": {"k_core": 5}}, inputs={}, counts={}, request="r", seconds=2.5)
    return Corpus.open(target)


class Stepping:
    """Recommends the items that follow the history's last one by ``step``, wrapping around; a `Ranker`.

    Item 0 stands for the last one of an empty history.
    """

    def __init__(self, name: str, step: int) -> None:
        self.name = name
        self.step = step

    def rank(self, histories: Sequence[Int32], k: int, *, exclude: Sequence[Int32] | None = None) -> Ranking:
        items = np.full((len(histories), k), NO_ITEM, np.int32)
        for row, history in enumerate(histories):
            barred = set() if exclude is None else set(exclude[row].tolist())
            last = int(history[-1]) if len(history) else 0
            order = [(last + self.step * n) % N_ITEMS for n in range(1, N_ITEMS + 1)]
            best = [item for item in dict.fromkeys(order) if item not in barred][:k]
            items[row, : len(best)] = best
        return Ranking(items, np.where(items == NO_ITEM, -np.inf, 0.0).astype(np.float32))

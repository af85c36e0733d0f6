"""Popularity and the fixed item-to-item counter."""

from __future__ import annotations

import csv
import gzip
import math
from pathlib import Path

import numpy as np
import pytest

from semconv.artifacts import Ragged
from semconv.behaviour.item_to_item import ItemToItem
from semconv.behaviour.ordering import top_k
from semconv.behaviour.popularity import Popularity, training_counts
from tests.unit.behaviour.conftest import CorpusMaker


def votes_by_hand(training: list[list[int]], history: list[int], n_items: int) -> list[float]:
    """The counter as its description has it, in plain loops."""
    counts = [sum(row.count(item) for row in training) for item in range(n_items)]
    scores = [0.0] * n_items
    for back, source in enumerate(reversed(history[-10:])):
        for row in training:
            for i, item in enumerate(row):
                if item != source:
                    continue
                for distance in range(1, 6):
                    if i + distance < len(row):
                        scores[row[i + distance]] += 0.7**back / distance / math.sqrt(counts[source])
    return scores


def test_item_to_item_is_what_it_says() -> None:
    random = np.random.default_rng(3)
    training = [random.integers(0, 12, random.integers(0, 15)).tolist() for _ in range(30)]
    histories = [random.integers(0, 14, n).astype(np.int32) for n in (0, 1, 5, 10, 13)]
    model = ItemToItem.fit(Ragged.of(training), 14)
    expected = [votes_by_hand(training, history.tolist(), 14) for history in histories]
    np.testing.assert_allclose(model.scores(histories).numpy(), expected, rtol=1e-5)


def test_item_to_item_of_sequences_shorter_than_its_window() -> None:
    scores = ItemToItem.fit(Ragged.of([[0, 1], [2]]), 3).scores([np.array([0], np.int32), np.array([2], np.int32)])
    assert scores.tolist() == [[0, 1, 0], [0, 0, 0]]


def test_popularity_counts_training_alone(make_corpus: CorpusMaker) -> None:
    corpus = make_corpus([[0, 0, 1, 2, 3], [0, 1, 3, 3]], 5)
    counts = training_counts(corpus.training(), corpus.n_items)
    assert counts.tolist() == [3, 2, 0, 0, 0]
    assert Popularity(counts).scores([np.zeros(0, np.int32)] * 2).tolist() == [[3, 2, 0, 0, 0]] * 2


def test_what_is_held_out_changes_no_counter(make_corpus: CorpusMaker) -> None:
    before = make_corpus([[0, 1, 2, 3], [2, 1, 0, 4, 4]], 5).training()
    after = make_corpus([[0, 1, 4, 4], [2, 1, 0, 1, 0]], 5).training()
    history = [np.array([0, 2], np.int32)]
    np.testing.assert_array_equal(ItemToItem.fit(before, 5).scores(history), ItemToItem.fit(after, 5).scores(history))
    assert training_counts(before, 5).tolist() == training_counts(after, 5).tolist()


@pytest.mark.data
def test_item_to_item_reproduces_the_reference_on_beauty(reference_data: Path) -> None:
    sequences, n_items = beauty(reference_data / "beauty")
    histories, targets = [row[:-1] for row in sequences], np.array([row[-1] for row in sequences])
    training = Ragged.of([row[:-2] for row in sequences])
    model, counts = ItemToItem.fit(training, n_items), training_counts(training, n_items)
    hits = np.zeros((len(sequences), 10), bool)
    for start in range(0, len(sequences), 1024):
        rows = slice(start, start + 1024)
        items, _ = top_k(model.scores(histories[rows]), 10, counts, histories[rows])
        hits[rows] = items == targets[rows, None]
    gains = hits / np.log2(np.arange(10) + 2)
    found = [hits[:, :5].sum(), gains[:, :5].sum(), hits.sum(), gains.sum()]
    np.testing.assert_allclose(np.array(found) / len(sequences), [0.0604, 0.0444, 0.0835, 0.0518], atol=0.0015)


def beauty(folder: Path) -> tuple[list[np.ndarray], int]:
    """Item indices of every user, in order, items numbered as in ``items.jsonl.gz``; the number of items."""
    with gzip.open(folder / "items.jsonl.gz", "rt") as lines:
        index = {line.split('"item_id": "')[1].split('"')[0]: i for i, line in enumerate(lines)}
    users: dict[str, list[tuple[int, int]]] = {}
    with gzip.open(folder / "interactions.csv.gz", "rt") as rows:
        for row in csv.DictReader(rows):
            users.setdefault(row["user_id"], []).append((int(row["position"]), index[row["item_id"]]))
    return [np.array([item for _, item in sorted(events)], np.int32) for events in users.values()], len(index)

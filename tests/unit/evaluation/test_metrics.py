"""Metrics against values worked out by hand, and against the textbook formulas written out slowly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.csv as csv
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from semconv.artifacts import Ragged
from semconv.evaluation.metrics import gains, histogram, hit_ranks, metric_names, recall_curve, weighted


def metrics(items: np.ndarray, targets: np.ndarray, cutoffs: list[int]) -> dict[str, float]:
    depth = items.shape[1]
    values = weighted(histogram(hit_ranks(items, targets), depth), gains(cutoffs, depth), len(targets))
    return dict(zip(metric_names(cutoffs), values.tolist(), strict=True))


def test_by_hand() -> None:
    items = np.array([[7, 1, 2], [3, 7, 4], [5, 6, 7], [1, 2, -1]], np.int32)
    targets = np.full(4, 7, np.int32)
    assert hit_ranks(items, targets).tolist() == [1, 2, 3, 0]
    found = metrics(items, targets, [1, 2, 3])
    assert found["recall@1"] == found["ndcg@1"] == found["mrr@1"] == pytest.approx(1 / 4)
    assert found["recall@2"] == pytest.approx(2 / 4)
    assert found["ndcg@2"] == pytest.approx((1 + 0.6309297535714575) / 4)
    assert found["mrr@2"] == pytest.approx((1 + 1 / 2) / 4)
    assert found["ndcg@3"] == pytest.approx((1 + 0.6309297535714575 + 0.5) / 4)
    assert found["mrr@3"] == pytest.approx((1 + 1 / 2 + 1 / 3) / 4)
    assert recall_curve(hit_ranks(items, targets), 3).tolist() == [0.25, 0.5, 0.75]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_against_the_formulas_written_out(data: st.DataObject) -> None:
    users, depth = data.draw(st.integers(1, 20)), data.draw(st.integers(1, 12))
    n_items = depth + 3
    rows = [data.draw(st.permutations(range(n_items)))[:depth] for _ in range(users)]
    items = np.array(rows, np.int32)
    targets = data.draw(arrays(np.int32, users, elements=st.integers(0, n_items - 1)))
    cutoffs = sorted(data.draw(st.sets(st.integers(1, depth), min_size=1)))
    found = metrics(items, targets, cutoffs)
    for k in cutoffs:
        relevant = [[float(item == target) for item in row[:k]] for row, target in zip(rows, targets, strict=True)]
        assert found[f"recall@{k}"] == pytest.approx(np.mean([sum(row) for row in relevant]))
        dcg = [sum(gain / np.log2(place + 2) for place, gain in enumerate(row)) for row in relevant]
        assert found[f"ndcg@{k}"] == pytest.approx(np.mean(dcg))
        reciprocal = [sum(gain / (place + 1) for place, gain in enumerate(row)) for row in relevant]
        assert found[f"mrr@{k}"] == pytest.approx(np.mean(reciprocal))


def test_a_cutoff_deeper_than_the_rankings_is_refused() -> None:
    with pytest.raises(ValueError, match="20"):
        gains([5, 20], 10)


@pytest.mark.data
def test_popularity_on_beauty(reference_data: Path) -> None:
    """Recall@10 of popularity, unfiltered, counted from the raw file in a way that shares no code with the library."""
    table = csv.read_csv(reference_data / "beauty" / "interactions.csv.gz")
    users = table["user_id"].combine_chunks().dictionary_encode()
    items = table["item_id"].combine_chunks().dictionary_encode()
    order = np.lexsort((table["position"].to_numpy(), users.indices.to_numpy()))
    values = items.indices.to_numpy()[order].astype(np.int32)
    offsets = np.concatenate([[0], np.cumsum(np.bincount(users.indices.to_numpy()))])
    sequences = Ragged(offsets, values)
    training = sequences.prefix(sequences.lengths - 2)
    top = np.argsort(-np.bincount(training.values, minlength=len(items.dictionary)), kind="stable")[:10]
    targets = values[offsets[1:] - 1]
    found = metrics(np.tile(top.astype(np.int32), (len(targets), 1)), targets, [10])
    assert len(targets) == 22363
    assert found["recall@10"] == pytest.approx(np.mean([target in set(top.tolist()) for target in targets.tolist()]))
    assert found["recall@10"] == pytest.approx(0.0114, abs=0.0005)

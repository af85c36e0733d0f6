"""Figures beyond accuracy against their definitions written out slowly, and at their extremes."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from semconv.evaluation.beyond import Catalogue, beyond_accuracy, diversity, exposure, gini, novelty
from semconv.recommend.ranker import NO_ITEM

N, WIDTH = 12, 4


def shop(seed: int) -> tuple[np.ndarray, Catalogue]:
    """Rankings of 9 users, some of which end early, and a catalogue whose item 3 has no text."""
    rng = np.random.default_rng(seed)
    items = np.stack([rng.permutation(N)[:6] for _ in range(9)]).astype(np.int32)
    items[0, 1:] = items[1, :] = items[2, 4:] = NO_ITEM
    text = rng.normal(size=(N, WIDTH)).astype(np.float32)
    text[3] = 0
    return items, Catalogue.of(rng.integers(0, N - 2, size=40).astype(np.int32), text)


@pytest.mark.parametrize("seed", range(4))
def test_against_the_definitions(seed: int) -> None:
    items, catalogue = shop(seed)
    found = beyond_accuracy(items, [1, 2, 6], catalogue)
    share = (catalogue.counts_N + 1) / (catalogue.counts_N.sum() + N)
    for k in (1, 2, 6):
        lists = [[item for item in row[:k].tolist() if item != NO_ITEM] for row in items]
        flat = [item for items_of in lists for item in items_of]
        assert found[f"coverage@{k}"] == pytest.approx(len(set(flat)) / N)
        times = [flat.count(item) for item in range(N)]
        apart = sum(abs(a - b) for a in times for b in times)
        assert found[f"gini@{k}"] == pytest.approx(apart / (2 * N * sum(times)))
        bits = [np.mean([-np.log2(share[item]) for item in items_of]) for items_of in lists if items_of]
        assert found[f"novelty@{k}"] == pytest.approx(np.mean(bits))
        distances = []
        for items_of in lists:
            pairs = list(combinations([item for item in items_of if item != 3], 2))
            if pairs:
                cosines = [float(catalogue.text_ND[a] @ catalogue.text_ND[b]) for a, b in pairs]
                distances.append(1 - np.mean(cosines))
        if distances:
            assert found[f"diversity@{k}"] == pytest.approx(np.mean(distances), abs=1e-5)
    assert "diversity@1" not in found


def test_gini_at_its_extremes() -> None:
    assert gini(np.full(N, 7)) == pytest.approx(0)
    assert gini(np.array([*[0] * (N - 1), 40])) == pytest.approx(1 - 1 / N)
    assert gini(np.zeros(N, np.int64)) is None


def test_a_known_item_is_less_novel_than_one_nobody_bought() -> None:
    counts = np.array([0, 3, 100], np.int64)
    unknown, rare, known = (novelty(np.array([[item]], np.int32), counts) for item in range(3))
    assert [unknown, rare, known] == pytest.approx([-np.log2(share / 106) for share in (1, 4, 101)])


def test_one_text_is_no_diversity_and_opposite_texts_are_most() -> None:
    text = np.array([[2, 0], [5, 0], [-1, 0]], np.float32)
    catalogue = Catalogue.of(np.zeros(1, np.int32), text)
    assert diversity(np.array([[0, 1]], np.int32), [2], catalogue.text_ND)[2] == pytest.approx(0)
    assert diversity(np.array([[0, 2]], np.int32), [2], catalogue.text_ND)[2] == pytest.approx(2)


def test_rankings_that_are_not_full_show_no_item_more() -> None:
    items = np.array([[0, 1, NO_ITEM], [1, NO_ITEM, NO_ITEM]], np.int32)
    assert exposure(items, 4).tolist() == [1, 2, 0, 0]


def test_no_text_leaves_diversity_out() -> None:
    items = np.array([[0, 1]], np.int32)
    found = beyond_accuracy(items, [2], Catalogue.of(np.array([0], np.int32), np.zeros((3, 2), np.float32)))
    assert set(found) == {"coverage@2", "gini@2", "novelty@2"}

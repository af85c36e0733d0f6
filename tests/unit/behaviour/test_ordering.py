"""The order of items: exact, whatever ties there are."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from semconv.behaviour.ordering import NO_ITEM, tie_rank, top_k


def brute(scores: np.ndarray, counts: np.ndarray, barred: np.ndarray) -> list[int]:
    order = sorted(range(len(scores)), key=lambda i: (-scores[i], -counts[i], i))
    return [i for i in order if i not in set(barred.tolist())]


@pytest.mark.parametrize("scale", [0.0, 0.5, 3.0, 1e30])
def test_order_is_score_then_count_then_index(scale: float) -> None:
    generator = torch.Generator().manual_seed(1)
    scores = (torch.randn(20, 60, generator=generator) * scale).round()
    counts = torch.randint(0, 4, (60,), generator=generator)
    barred = [np.arange(row, dtype=np.int32) for row in range(20)]
    items, values = top_k(scores, 25, counts, barred)
    for row in range(20):
        assert items[row].tolist() == brute(scores[row].numpy(), counts.numpy(), barred[row])[:25]
        assert values[row].tolist() == scores[row][items[row].tolist()].tolist()


def test_fewer_legal_items_than_asked_for_leaves_the_rest_empty() -> None:
    items, values = top_k(torch.tensor([[1.0, -torch.inf, 3.0]]), 5, torch.zeros(3), [np.array([2, 2], np.int32)])
    assert items.tolist() == [[0, 1, NO_ITEM, NO_ITEM, NO_ITEM]]
    assert values.tolist() == [[1.0, -np.inf, -np.inf, -np.inf, -np.inf]]


def test_negative_zero_is_zero() -> None:
    items, _ = top_k(torch.tensor([[-0.0, 0.0, -0.0]]), 3, torch.tensor([1, 2, 3]))
    assert items.tolist() == [[2, 1, 0]]


def test_nan_has_no_place() -> None:
    with pytest.raises(ValueError, match="NaN"):
        top_k(torch.tensor([[0.0, torch.nan]]), 1, torch.zeros(2))


def test_tie_rank_is_a_permutation_by_count_then_index() -> None:
    assert tie_rank(torch.tensor([2, 5, 2, 9])).tolist() == [2, 1, 3, 0]

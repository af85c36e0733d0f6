"""The formula is the paper's, and what is counted is what lies in memory, once."""

from __future__ import annotations

import pytest
import torch

from benchmarks.zero_memory import per_rank, tensor_bytes


@pytest.mark.parametrize(("stage", "gigabytes"), [(0, 120.0), (1, 31.4), (2, 16.6), (3, 1.9)])
def test_the_papers_own_example(stage: int, gigabytes: float) -> None:
    """Figure 1 of arXiv 1910.02054: 7.5 billion parameters on 64 ranks."""
    assert per_rank(7_500_000_000, stage, 64) / 1e9 == pytest.approx(gigabytes, abs=0.05)


def test_a_storage_counts_once_and_its_gradient_too() -> None:
    before = tensor_bytes()
    weight = torch.zeros(1000, requires_grad=True)
    views = [weight[:10], weight.view(10, 100)]
    (weight * 2.0).sum().backward()
    assert tensor_bytes() - before == 8000
    assert all(view.data_ptr() == weight.data_ptr() for view in views)

"""Collisions: resolved at the least cost, exactly, and only where they are."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
import torch

from semconv.tokens.collisions import colliding_groups, resolve_collisions
from semconv.tokens.quality import collision_rate, unique_tuples
from semconv.tokens.residual_kmeans import ResidualKMeans


def quantizer(codes: int, width: int = 3, seed: int = 0) -> ResidualKMeans:
    return ResidualKMeans(torch.randn(2, codes, width, generator=torch.Generator().manual_seed(seed)))


@pytest.mark.parametrize("seed", range(6))
def test_added_error_is_the_least_possible(seed: int) -> None:
    coder = quantizer(5, seed=seed)
    vectors = torch.randn(4, 3, generator=torch.Generator().manual_seed(seed + 100))
    codes = torch.tensor([[2, 0]] * 4)
    costs = coder.last_level_costs(vectors, codes)
    best = min(sum(float(costs[i, c]) for i, c in enumerate(chosen)) for chosen in permutations(range(5), 4))
    resolved = resolve_collisions(coder, vectors, codes)
    assert unique_tuples(resolved) == 4
    assert float(costs[torch.arange(4), resolved[:, 1]].sum()) == pytest.approx(best, rel=1e-5)


def test_no_collision_is_left_while_the_last_level_has_room() -> None:
    vectors = torch.randn(200, 3, generator=torch.Generator().manual_seed(1))
    coder = ResidualKMeans.fit(vectors, levels=2, codes=40, iterations=5, seed=0)
    nearest = coder.encode(vectors)
    assert collision_rate(nearest) > 0
    resolved = resolve_collisions(coder, vectors, nearest)
    assert collision_rate(resolved) == 0
    assert torch.equal(resolved[:, 0], nearest[:, 0])
    assert torch.equal(resolved, resolve_collisions(coder, vectors, nearest))


def test_groups_without_a_collision_are_left_as_they_are() -> None:
    codes = torch.tensor([[0, 1], [0, 2], [1, 3], [1, 3], [1, 0], [2, 3]])
    assert [group.tolist() for group in colliding_groups(codes)] == [[2, 3, 4]]
    vectors = torch.randn(6, 3, generator=torch.Generator().manual_seed(2))
    resolved = resolve_collisions(quantizer(4), vectors, codes)
    assert torch.equal(resolved[[0, 1, 5]], codes[[0, 1, 5]])
    assert len({tuple(row) for row in resolved.tolist()}) == 6


def test_beyond_capacity_every_code_is_used_and_the_rest_share() -> None:
    coder = quantizer(3)
    vectors = torch.zeros(7, 3)
    codes = coder.encode(vectors)
    resolved = resolve_collisions(coder, vectors, codes)
    assert sorted(set(resolved[:, 1].tolist())) == [0, 1, 2]
    kept = resolved[:, 1] == codes[:, 1]
    assert int(kept.sum()) == 5
    assert np.unique(resolved[:, 0].numpy()).size == 1

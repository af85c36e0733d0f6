"""Neighbourhoods in codes: exact expectations, the same for every way to write the codes, and nothing for nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from small_catalogue import EACH, FAMILY, N_ITEMS, family_vectors

from semconv.tokens.neighbours import Neighbours, points_of, preservation
from semconv.tokens.residual_kmeans import ResidualKMeans

ALL = torch.ones(N_ITEMS, dtype=torch.bool)


def of_all(vectors: torch.Tensor, has: torch.Tensor | None = None) -> Neighbours:
    return Neighbours.find(vectors, torch.ones(len(vectors), dtype=torch.bool) if has is None else has, 10_000, 0)


def by_hand(codes: np.ndarray, neighbours: Neighbours) -> float:
    """Item after item, neighbour after neighbour: its chance to be among the first Q."""
    most, total = neighbours.nearest.shape[1], 0.0
    for item, nearest in zip(neighbours.asked, neighbours.nearest, strict=True):
        equal = np.cumprod(codes == codes[item], axis=1).sum(axis=1)
        others = np.delete(equal, item)
        for other in nearest:
            closer, tied = (others > equal[other]).sum(), (others == equal[other]).sum()
            total += min(max((most - closer) / tied, 0.0), 1.0)
    return total / (most * len(neighbours.asked))


@pytest.mark.parametrize("seed", range(4))
def test_ties_of_prefixes_are_averaged_over(seed: int) -> None:
    random = np.random.default_rng(seed)
    codes = random.integers(0, 3, (N_ITEMS, 3)).astype(np.int32)
    neighbours = of_all(family_vectors(seed=seed))
    found = preservation(codes, neighbours)
    assert found is not None
    assert found.prefixes == pytest.approx(by_hand(codes, neighbours))


def test_nearest_are_the_nearest_others_by_cosine() -> None:
    vectors = torch.randn(40, 5, generator=torch.Generator().manual_seed(0))
    neighbours = of_all(vectors)
    cosine = torch.nn.functional.cosine_similarity(vectors[:, None], vectors[None], dim=2).fill_diagonal_(-2)
    for item, nearest in zip(neighbours.asked, neighbours.nearest, strict=True):
        assert set(nearest.tolist()) == set(cosine[item].topk(10).indices.tolist())


def test_codes_that_say_the_families_keep_every_neighbour() -> None:
    """A family is an item and ten others."""
    assert EACH == 11
    found = preservation(np.stack([FAMILY, FAMILY], axis=1).astype(np.int32), of_all(family_vectors(spread=1e-3)))
    assert found is not None
    assert (found.prefixes, found.codes) == (1.0, 1.0)


def test_lumping_all_together_or_drawing_lots_gains_nothing() -> None:
    items = 1000
    vectors = torch.randn(items, 8, generator=torch.Generator().manual_seed(0))
    neighbours, chance = of_all(vectors), 10 / (items - 1)
    one = preservation(np.zeros((items, 2), np.int32), neighbours)
    assert one is not None
    assert one.prefixes == one.codes == pytest.approx(chance)
    lots = preservation(np.random.default_rng(0).integers(0, 16, (items, 4)).astype(np.int32), neighbours)
    assert lots is not None
    assert max(lots.prefixes, lots.codes) < 1.5 * chance
    ours = preservation(
        ResidualKMeans.fit(vectors, levels=4, codes=16, iterations=5, seed=0).encode(vectors).numpy().astype(np.int32),
        neighbours,
    )
    assert ours is not None
    assert min(ours.prefixes, ours.codes) > 10 * chance


def test_a_code_for_every_item_on_one_level_says_its_vector() -> None:
    own = preservation(
        np.random.default_rng(1).permutation(N_ITEMS)[:, None].astype(np.int32), of_all(family_vectors())
    )
    assert own is not None
    assert own.prefixes == pytest.approx(10 / (N_ITEMS - 1))
    assert own.codes == 1.0


def test_the_numbers_of_codes_mean_nothing() -> None:
    random = np.random.default_rng(2)
    codes = random.integers(0, 6, (N_ITEMS, 3)).astype(np.int32)
    renamed = np.stack([random.permutation(6)[column] for column in codes.T], axis=1).astype(np.int32)
    neighbours = of_all(family_vectors())
    assert preservation(codes, neighbours) == preservation(renamed, neighbours)


def test_later_codes_count_where_prefixes_tie() -> None:
    vectors = torch.randn(600, 6, generator=torch.Generator().manual_seed(3))
    codes = ResidualKMeans.fit(vectors, levels=3, codes=12, iterations=10, seed=0).encode(vectors).numpy()
    found = preservation(codes.astype(np.int32), of_all(vectors))
    assert found is not None
    assert found.codes > 1.3 * found.prefixes


def test_points_are_means_of_what_is_left() -> None:
    vectors = torch.tensor([[0.0], [2.0], [10.0], [14.0]])
    codes = np.asarray([[0, 1], [0, 0], [3, 1], [3, 0]], np.int32)
    # First codes stand for 1 and 12; what is left is -1, 1, -2, 2.
    assert points_of(codes, vectors).flatten().tolist() == [-0.5, 2.5, 10.5, 13.5]


def test_items_without_the_modality_take_no_part() -> None:
    vectors = family_vectors()
    has = ALL.clone()
    has[::3] = False
    neighbours = of_all(vectors, has)
    codes = np.random.default_rng(4).integers(0, 3, (N_ITEMS, 2)).astype(np.int32)
    first = preservation(codes, neighbours)
    codes[::3] = 7
    assert preservation(codes, neighbours) == first == preservation(codes[has.numpy()], of_all(vectors[has]))


@pytest.mark.parametrize("known", [0, 1])
def test_a_space_of_less_than_two_items_has_no_neighbours(known: int) -> None:
    has = torch.arange(N_ITEMS) < known
    assert preservation(np.zeros((N_ITEMS, 2), np.int32), of_all(family_vectors(), has)) is None
    few = preservation(np.zeros((3, 2), np.int32), of_all(torch.randn(3, 2)))
    assert few is not None
    assert few.prefixes == pytest.approx(1.0)

"""Collisions: resolved at the least cost, exactly, and only where they are."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations, product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from semconv.tokens import collisions
from semconv.tokens.collisions import colliding_groups, least_assignment, resolve_collisions
from semconv.tokens.overflow import spread_overflow
from semconv.tokens.prefixes import prefix_ids, ranks_within
from semconv.tokens.quality import collision_rate, unique_tuples
from semconv.tokens.residual_kmeans import ResidualKMeans
from tests.unit.tokens.planted import noise


def quantizer(codes: int, width: int = 3, seed: int = 0, levels: int = 2) -> ResidualKMeans:
    return ResidualKMeans(torch.randn(levels, codes, width, generator=torch.Generator().manual_seed(seed)))


def error(coder: ResidualKMeans, vectors: torch.Tensor, codes: torch.Tensor) -> float:
    return float((vectors - coder.decode(codes)).square().sum())


@pytest.mark.parametrize("seed", range(6))
def test_added_error_is_the_least_possible_in_every_group(seed: int) -> None:
    coder = quantizer(5, seed=seed)
    vectors = noise(10, 3, seed=seed + 100)
    codes = torch.tensor([[2, 0]] * 4 + [[1, 3]] * 3 + [[0, 0], [0, 1], [0, 4]])
    resolved = resolve_collisions(coder, vectors, codes)
    assert unique_tuples(resolved) == 10
    costs = coder.level_costs(vectors, codes, codes.shape[1] - 1)
    for members in (range(4), range(4, 7)):
        best = min(
            sum(float(costs[i, c]) for i, c in zip(members, chosen, strict=True))
            for chosen in permutations(range(5), len(members))
        )
        assert sum(float(costs[i, resolved[i, 1]]) for i in members) == pytest.approx(best, rel=1e-5)
    assert torch.equal(resolved[7:], codes[7:])
    assert torch.equal(resolved[:, 0], codes[:, 0])


@settings(max_examples=60, deadline=None)
@given(
    st.integers(2, 4), st.integers(2, 3), st.integers(1, 40), st.integers(1, 12), st.integers(0, 10_000), st.booleans()
)
def test_no_two_items_share_while_there_are_tuples_enough(
    codes: int, levels: int, items: int, distinct: int, seed: int, fitted: bool
) -> None:
    """Whatever the codes were to begin with, and however many vectors are the same."""
    vectors = noise(distinct, 3, seed=seed)[torch.arange(items) % distinct]
    coder = quantizer(codes, seed=seed, levels=levels)
    drawn = torch.randint(codes, (items, levels), generator=torch.Generator().manual_seed(seed)) // 2
    before = coder.encode(vectors) if fitted else drawn
    kept = before.clone()
    resolved = resolve_collisions(coder, vectors, before)
    assert unique_tuples(resolved) == min(items, codes**levels)
    assert int(resolved.min()) >= 0
    assert int(resolved.max()) < codes
    assert torch.equal(before, kept)
    assert torch.equal(resolved, resolve_collisions(coder, vectors, before))


def test_groups_without_a_collision_are_left_as_they_are() -> None:
    codes = torch.tensor([[0, 1], [1, 3], [0, 2], [1, 3], [1, 0], [2, 3]])
    members, starts = colliding_groups(codes)
    assert (members.tolist(), starts.tolist()) == ([1, 3, 4], [0, 3])
    resolved = resolve_collisions(quantizer(4), noise(6, 3, 1), codes)
    assert torch.equal(resolved[[0, 2, 5]], codes[[0, 2, 5]])
    assert unique_tuples(resolved) == 6


def test_without_collisions_nothing_changes() -> None:
    codes = torch.tensor(list(product(range(3), repeat=2)))
    assert torch.equal(resolve_collisions(quantizer(3), noise(9, 3, 1), codes), codes)
    assert [len(part) for part in colliding_groups(codes)] == [0, 1]


@pytest.mark.parametrize("scale", [None, torch.tensor([1.0, 9.0, 0.1])])
@pytest.mark.parametrize("seed", range(8))
def test_the_item_that_leaves_a_full_prefix_is_the_cheapest_to_move(seed: int, scale: torch.Tensor | None) -> None:
    coder = replace(quantizer(3, seed=seed), first_D=scale)
    vectors = noise(5, 3, seed=seed + 50)
    codes = torch.tensor([[1, 0], [1, 1], [1, 2], [1, 0], [2, 1]])
    moved = spread_overflow(coder, vectors, codes)
    changed = (moved[:, 0] != codes[:, 0]).nonzero().flatten().tolist()
    seen = 1.0 if scale is None else scale
    errors = torch.cdist(vectors * seen, coder.codebooks[0] * seen).square()
    _, item, first = min((float(errors[i, b] - errors[i, 1]), i, b) for i, b in product(range(4), (0, 2)))
    assert changed == [item]
    assert moved[item, 0] == first
    lasts = [error(coder, vectors[item, None], torch.tensor([[first, last]])) for last in range(3)]
    assert int(moved[item, 1]) == int(np.argmin(lasts))


def test_items_move_together_at_no_more_than_the_best_single_choice_of_targets() -> None:
    """Two full prefixes, one sibling with room for both that leave."""
    coder = quantizer(3, seed=4)
    vectors = noise(8, 3, seed=9)
    codes = torch.tensor([[0, 0]] * 4 + [[1, 0]] * 4)
    moved = spread_overflow(coder, vectors, codes)
    assert np.bincount(moved[:, 0].numpy()).tolist() == [3, 3, 2]
    errors = torch.cdist(vectors, coder.codebooks[0]).square()
    for source in (0, 1):
        members = (codes[:, 0] == source).nonzero().flatten().tolist()
        cheapest = min(members, key=lambda item: float(errors[item, 2] - errors[item, source]))
        assert moved[cheapest, 0] == 2


def test_items_spread_over_every_level_when_all_are_the_same() -> None:
    """27 tuples for 27 items of one vector: each level must give way."""
    coder = quantizer(3, levels=3)
    vectors = torch.zeros(27, 3)
    resolved = resolve_collisions(coder, vectors, coder.encode(vectors))
    assert sorted(map(tuple, resolved.tolist())) == list(product(range(3), repeat=3))


def test_of_identical_items_the_first_stay() -> None:
    coder = quantizer(4)
    vectors = torch.zeros(6, 3)
    nearest = coder.encode(vectors)
    moved = spread_overflow(coder, vectors, nearest)
    assert (moved[:, 0] == nearest[:, 0]).tolist() == [True] * 4 + [False] * 2


def test_beyond_capacity_every_tuple_is_used_and_the_rest_share() -> None:
    coder = quantizer(2)
    vectors = noise(9, 3, 1)
    resolved = resolve_collisions(coder, vectors, coder.encode(vectors))
    assert unique_tuples(resolved) == 4


def test_many_small_groups_are_resolved_as_each_alone() -> None:
    """Blocks of groups give what group after group would."""
    vectors = noise(3000, 4)
    coder = ResidualKMeans.fit(vectors, levels=2, codes=64, iterations=5, seed=0)
    nearest = coder.encode(vectors)
    resolved = resolve_collisions(coder, vectors, nearest)
    assert collision_rate(nearest) > 0 == collision_rate(resolved)
    spread = spread_overflow(coder, vectors, nearest)
    for group in range(64):
        members = (spread[:, 0] == group).nonzero().flatten()
        alone = resolve_collisions(coder, vectors[members], spread[members])
        assert torch.equal(alone, resolved[members])


def test_blocks_of_any_size_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes bound what is held at once; a group larger than that is held whole."""
    vectors = torch.randint(-2, 3, (200, 3), generator=torch.Generator().manual_seed(0)).float()
    coder = ResidualKMeans(torch.randint(-2, 3, (2, 16, 3), generator=torch.Generator().manual_seed(1)).float())
    nearest = coder.encode(vectors)
    whole = resolve_collisions(coder, vectors, nearest)
    held: list[int] = []
    costs = ResidualKMeans.level_costs

    def counted(self: ResidualKMeans, vectors_ND: torch.Tensor, codes_NL: torch.Tensor, level: int) -> torch.Tensor:
        held.append(len(vectors_ND))
        return costs(self, vectors_ND, codes_NL, level)

    spread = spread_overflow(coder, vectors, nearest)
    monkeypatch.setattr(ResidualKMeans, "level_costs", counted)
    for bytes_held, rows in ((8 * 16 * 20, 20), (8, 1)):
        held.clear()
        monkeypatch.setattr(collisions, "BLOCK_BYTES", bytes_held)
        assert torch.equal(resolve_collisions(coder, vectors, spread), whole)
        assert max(held) <= max(rows, 16)
    assert len(held) == len(colliding_groups(spread)[1]) - 1


@pytest.mark.parametrize(("rows", "columns"), [(1, 4), (7, 7), (5, 12), (9, 4)])
@pytest.mark.parametrize("ties", [False, True])
def test_equal_rows_cost_what_the_general_assignment_does(rows: int, columns: int, ties: bool) -> None:
    row = np.random.default_rng(rows).random(columns)
    costs = np.repeat((row.round(1) if ties else row)[None], rows, axis=0)
    taken, chosen = least_assignment(costs)
    assert taken.tolist() == list(range(min(rows, columns)))
    assert len(set(chosen.tolist())) == len(taken)
    assert costs[taken, chosen].tolist() == sorted(row.round(1) if ties else row)[: len(taken)]
    assert costs[taken, chosen].sum() == pytest.approx(costs[linear_sum_assignment(costs)].sum(), rel=1e-12)


def test_copies_take_the_cheapest_free_codes_in_item_order() -> None:
    """A code that others hold is left out; an item of another prefix is left alone."""
    coder = quantizer(6)
    vectors = noise(1, 3, 1).repeat(6, 1)
    codes = torch.tensor([[2, 0]] * 5 + [[4, 1]])
    taken = torch.tensor([[2, 3]])
    resolved = resolve_collisions(coder, vectors, codes, taken_TL=taken)
    costs = coder.level_costs(vectors[:1], codes[:1], 1)[0]
    cheapest = [code for code in costs.argsort(stable=True).tolist() if code != 3]
    assert resolved[:5, 1].tolist() == cheapest
    assert resolved[5].tolist() == [4, 1]


def test_an_extra_level_numbers_the_members_of_a_tuple() -> None:
    codes = torch.tensor([[1, 2], [0, 0], [1, 2], [1, 2], [0, 1], [1, 2], [1, 2]])
    resolved = resolve_collisions(quantizer(4), noise(7, 3, 1), codes, "extra")
    assert torch.equal(resolved[:, :2], codes)
    assert resolved[:, 2].tolist() == [0, 0, 1, 2, 0, 3, 0]


def test_an_extra_level_counts_on_from_those_that_are_numbered() -> None:
    codes = torch.tensor([[1, 2], [0, 0], [1, 2], [1, 2]])
    taken = torch.tensor([[1, 2, 0], [1, 2, 1], [3, 3, 0]])
    resolved = resolve_collisions(quantizer(4), noise(4, 3, 1), codes, "extra", taken)
    assert resolved[:, 2].tolist() == [2, 0, 3, 0]


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 3), st.integers(2, 3), st.integers(0, 12), st.integers(0, 27), st.integers(0, 10_000))
def test_no_item_takes_what_others_have_while_there_is_a_free_tuple(
    codes: int, levels: int, items: int, many: int, seed: int
) -> None:
    """Items crowd under few prefixes, where most is taken."""
    every = torch.tensor(list(product(range(codes), repeat=levels)))
    generator = torch.Generator().manual_seed(seed)
    taken = every[torch.randperm(len(every), generator=generator)[:many]]
    twice = torch.cat([taken, taken[:3]])
    vectors, coder = noise(items, 3, seed=seed), quantizer(codes, seed=seed, levels=levels)
    before = torch.randint(codes, (items, levels), generator=generator) // 2
    resolved = resolve_collisions(coder, vectors, before, taken_TL=twice)
    free = set(map(tuple, every.tolist())) - set(map(tuple, taken.tolist()))
    got = set(map(tuple, resolved.tolist()))
    assert len(got & free) == min(items, len(free))
    assert got <= free or items > len(free)
    assert torch.equal(resolved, resolve_collisions(coder, vectors, before, taken_TL=twice))


@pytest.mark.parametrize("seed", range(6))
def test_new_items_add_the_least_error_over_the_free_last_codes(seed: int) -> None:
    coder = quantizer(6, seed=seed)
    vectors = noise(4, 3, seed=seed + 30)
    codes = torch.tensor([[2, 0], [2, 5], [2, 1], [4, 3]])
    taken = torch.tensor([[2, 0], [2, 3], [4, 2], [1, 1]])
    resolved = resolve_collisions(coder, vectors, codes, taken_TL=taken)
    assert torch.equal(resolved[3], codes[3])
    assert resolved[:3, 0].tolist() == [2, 2, 2]
    costs = coder.level_costs(vectors, codes, codes.shape[1] - 1)
    best = min(sum(float(costs[i, c]) for i, c in enumerate(chosen)) for chosen in permutations((1, 2, 4, 5), 3))
    assert sum(float(costs[i, resolved[i, 1]]) for i in range(3)) == pytest.approx(best, rel=1e-5)


def test_a_prefix_filled_by_others_sends_a_new_item_to_its_cheapest_sibling() -> None:
    coder = quantizer(3, seed=2)
    vectors = noise(1, 3, seed=8)
    taken = torch.tensor([[1, 0], [1, 1], [1, 2], [0, 0]])
    resolved = resolve_collisions(coder, vectors, torch.tensor([[1, 1]]), taken_TL=taken)
    errors = torch.cdist(vectors, coder.codebooks[0]).square()[0]
    assert int(resolved[0, 0]) == min((0, 2), key=lambda first: float(errors[first]))
    assert tuple(resolved[0].tolist()) not in set(map(tuple, taken.tolist()))


def test_none_leaves_the_codes() -> None:
    codes = torch.tensor([[1, 2], [1, 2]])
    resolved = resolve_collisions(quantizer(4), noise(2, 3, 1), codes, "none")
    assert torch.equal(resolved, codes)
    assert resolved.data_ptr() != codes.data_ptr()


@given(st.lists(st.tuples(*[st.integers(0, 4)] * 3), min_size=1, max_size=30), st.integers(0, 3))
def test_prefixes_are_numbered_in_lexicographic_order(rows: list[tuple[int, ...]], length: int) -> None:
    prefixes = [row[:length] for row in rows]
    numbers = {prefix: number for number, prefix in enumerate(sorted(set(prefixes)))}
    ids = prefix_ids(np.asarray(rows, np.int32), length)
    assert ids.tolist() == [numbers[prefix] for prefix in prefixes]
    assert ranks_within(ids).tolist() == [prefixes[:place].count(prefix) for place, prefix in enumerate(prefixes)]

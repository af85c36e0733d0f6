"""A step shared among ranks and cut into parts: everything once, about equally."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from semconv.alignment.batches import Batches
from semconv.llm.packed_causal import TokenExample
from semconv.llm.packing import pack
from semconv.packing import first_fit, spread
from tests.unit.training.tiny_job import COUNT, Texts, portions
from tests.unit.training.tiny_job import pack as pack_tiny


@pytest.mark.parametrize(("world", "accumulate"), [(1, 1), (2, 1), (3, 2), (2, 9)])
def test_ranks_share_every_step(world: int, accumulate: int) -> None:
    texts = Counter(tuple(row) for row in Texts().rows)
    seen: Counter[tuple[int, ...]] = Counter()
    ranks = [portions(rank, world, accumulate, batch=8) for rank in range(world)]
    for step in range(ranks[0].steps):
        given = [batches(1, step) for batches in ranks]
        assert len({len(portion.parts) for portion in given}) == 1
        assert (len(given[0].parts) > 1) == (accumulate > 1)
        assert sum(portion.targets for portion in given) == given[0].all_targets
        filled = [sum(int((part.segments_RT > 0).sum()) for part in portion.parts) for portion in given]
        assert sum(filled) == given[0].tokens
        assert max(filled) - min(filled) <= 12
        for portion in given:
            for part in portion.parts:
                assert part.segments_RT.max() > 0
                for number in range(1, int(part.segments_RT.max()) + 1):
                    seen[tuple(part.ids_RT[part.segments_RT == number].tolist())] += 1
    assert seen == texts
    assert len(ranks[0]) == COUNT


def test_a_rank_makes_its_own_examples_and_no_others() -> None:
    made: list[list[int]] = [[], [], []]

    class Counted(Texts):
        def __init__(self, rank: int) -> None:
            super().__init__()
            self.rank = rank

        def example(self, epoch: int, number: int) -> TokenExample:
            made[self.rank].append(number)
            return super().example(epoch, number)

    for rank in range(3):
        batches = Batches(Counted(rank), pack_tiny, batch_size=8, seed=3, rank=rank, world=3, accumulate=2)
        for step in range(batches.steps):
            batches(0, step)
    assert sorted(number for numbers in made for number in numbers) == list(range(COUNT))
    assert all(made)


LENGTHS = st.lists(st.integers(1, 60), min_size=1, max_size=60)


@given(LENGTHS, st.integers(1, 9))
def test_a_spread_is_even_and_leaves_no_row_empty(lengths: list[int], rows: int) -> None:
    chosen, columns = spread(lengths, rows)
    sums = np.bincount(chosen, weights=lengths, minlength=rows)
    assert sums.max() - sums.min() <= max(lengths)
    assert (sums > 0).sum() == min(rows, len(lengths))
    for row in range(rows):
        inside = np.flatnonzero(chosen == row)
        inside = inside[np.argsort(columns[inside])]
        assert columns[inside].tolist() == [0, *np.cumsum(np.asarray(lengths)[inside])[:-1]][: len(inside)]


@given(LENGTHS, st.integers(1, 80))
def test_packed_rows_are_no_wider_than_first_fit_makes_them(lengths: list[int], capacity: int) -> None:
    rows, starts, n_rows, width = pack(lengths, capacity)
    _, fitted_starts, fitted = first_fit(lengths, max(capacity, *lengths))
    assert n_rows == fitted
    assert width <= int((fitted_starts + np.asarray(lengths)).max())
    taken = np.zeros((n_rows, width), np.int64)
    for length, row, start in zip(lengths, rows, starts, strict=True):
        taken[row, start : start + length] += 1
    assert taken.max() == 1
    assert taken.sum() == sum(lengths)

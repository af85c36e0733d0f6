"""What an epoch holds."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from semconv.alignment.mixture import Mixture, epoch_counts
from semconv.artifacts.examples import ExampleRow

SIZES = {"sequential": 20, "textual": 11, "query": 3}


class Numbered:
    sizes = SIZES

    def row(self, family: str, number: int) -> ExampleRow:
        return ExampleRow(np.asarray([list(SIZES).index(family)]), np.asarray([number]), 0)


def mixture(seed: int = 1, **counts: int) -> Mixture[tuple[str, int]]:  # type: ignore[type-var]  # no model reads these
    names = list(SIZES)
    return Mixture(
        Numbered(), counts, seed, lambda row: (names[int(row.words[0])], int(row.items[0])), lambda row: (1, 1)
    )


def epoch(mixed: Mixture[tuple[str, int]], number: int) -> list[tuple[str, int]]:  # type: ignore[type-var]
    return [mixed.example(number, place) for place in range(len(mixed))]


def test_weights_count_examples_for_every_sequence() -> None:
    weights = {"sequential": 0.5, "textual": 0.26, "query": 0.01, "negative": 3.0}
    assert epoch_counts(SIZES, weights, 20) == {"sequential": 10, "textual": 5}


def test_every_sequence_comes_once_an_epoch_in_another_order() -> None:
    mixed = mixture(sequential=20, textual=2)
    first, second = epoch(mixed, 0), epoch(mixed, 1)
    for seen in (first, second):
        assert sorted(row for family, row in seen if family == "sequential") == list(range(20))
    assert first[:20] != second[:20]


@pytest.mark.parametrize("count", [2, 4, 11, 25])
def test_all_of_a_family_is_seen_before_any_comes_again(count: int) -> None:
    mixed = mixture(sequential=20, textual=count)
    rows = [row for number in range(12) for family, row in epoch(mixed, number) if family == "textual"]
    assert len(rows) == 12 * count
    for begin in range(0, len(rows) - 10, 11):
        assert sorted(rows[begin : begin + 11]) == list(range(11))
    assert max(Counter(rows).values()) - min(Counter(rows).values()) <= 1


def test_an_example_is_a_function_of_seed_epoch_and_number() -> None:
    one, two, other = (
        mixture(sequential=10, query=3),
        mixture(sequential=10, query=3),
        mixture(2, sequential=10, query=3),
    )
    assert [one.example(5, place) for place in reversed(range(13))][::-1] == epoch(two, 5)
    assert epoch(one, 5) != epoch(other, 5)

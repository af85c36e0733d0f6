"""Intervals that cover what they should, pairs that cancel what they share, and the same numbers every time."""

from __future__ import annotations

import numpy as np
import pytest

from semconv.evaluation.intervals import Bootstrap
from semconv.evaluation.metrics import gains, histogram, weighted


def hits(rng: np.random.Generator, users: int, chance: float) -> np.ndarray:
    return (rng.random(users) < chance).astype(np.int32)


def test_the_width_is_that_of_a_binomial_share() -> None:
    users, chance = 4000, 0.1
    ranks = np.zeros((1, users), np.int32)
    ranks[0, : int(users * chance)] = 1
    low, high = Bootstrap.of(ranks, 1, 2000, seed=1).intervals(gains([1], 1))[0, 0]
    error = np.sqrt(chance * (1 - chance) / users)
    assert low == pytest.approx(chance - 1.96 * error, abs=0.2 * error)
    assert high == pytest.approx(chance + 1.96 * error, abs=0.2 * error)


def test_the_true_value_lies_inside_about_19_times_in_20() -> None:
    rng, chance, inside = np.random.default_rng(5), 0.3, 0
    for trial in range(200):
        ranks = hits(rng, 300, chance)[None]
        low, high = Bootstrap.of(ranks, 1, 200, seed=trial).intervals(gains([1], 1))[0, 0]
        inside += int(low <= chance <= high)
    assert 180 <= inside <= 199


def test_every_resample_draws_as_many_users_as_there_are() -> None:
    ranks = np.ones((1, 57), np.int32)
    drawn = Bootstrap.of(ranks, 1, 300, seed=2).histograms
    assert drawn.shape == (300, 1, 1)
    assert np.unique(drawn).tolist() == [57]


def test_resamples_centre_on_the_figure_itself() -> None:
    ranks = np.random.default_rng(0).integers(0, 6, size=(3, 500)).astype(np.int32)
    table = gains([2, 5], 5)
    bootstrap = Bootstrap.of(ranks, 5, 3000, seed=4)
    figures = np.stack([weighted(histogram(row, 5), table, 500) for row in ranks])
    assert weighted(bootstrap.histograms, table, 500).mean(axis=0) == pytest.approx(figures, rel=0.01)


def test_systems_share_their_resamples() -> None:
    rng = np.random.default_rng(1)
    first = hits(rng, 2000, 0.2)
    second = first.copy()
    second[np.flatnonzero(first)[:40]] = 0
    table = gains([1], 1)
    bootstrap = Bootstrap.of(np.stack([first, first, second]), 1, 1000, seed=3)
    assert bootstrap.difference(0, 1, table[:, 0]) == (0.0, 0.0, 1.0)
    low, high, p = bootstrap.difference(0, 2, table[:, 0])
    # Apart, the intervals of both systems overlap; together, the 40 users' difference is beyond doubt.
    apart = bootstrap.intervals(table)[:, 0]
    assert apart[2, 1] > apart[0, 0]
    assert 0 < low < 0.02 < high
    assert p < 0.005
    reverse = bootstrap.difference(2, 0, table[:, 0])
    assert reverse == pytest.approx((-high, -low, p))


def test_equal_systems_are_called_different_about_once_in_twenty() -> None:
    rng, called = np.random.default_rng(8), 0
    for trial in range(200):
        ranks = np.stack([hits(rng, 400, 0.3), hits(rng, 400, 0.3)])
        called += int(Bootstrap.of(ranks, 1, 200, seed=trial).difference(0, 1, gains([1], 1)[:, 0])[2] < 0.05)
    assert 2 <= called <= 22


def test_the_seed_decides_and_nothing_else() -> None:
    ranks = np.random.default_rng(0).integers(0, 4, size=(2, 300)).astype(np.int32)
    one, same, other = (Bootstrap.of(ranks, 3, 100, seed=seed).histograms for seed in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    alone = Bootstrap.of(ranks[1:], 3, 100, seed=1).histograms
    assert np.array_equal(alone[:, 0], one[:, 1])

"""The paired interval of the benchmark's figure."""

from __future__ import annotations

import numpy as np

from benchmarks.compact_training import paired_difference


def test_what_all_seeds_and_users_gain_alike_is_certain() -> None:
    baseline = np.random.default_rng(1).random((3, 50))
    assert np.allclose(list(paired_difference(baseline + 0.25, baseline).values()), 0.25)


def test_chance_among_users_is_not_a_gain() -> None:
    rng = np.random.default_rng(2)
    found = paired_difference(rng.random((3, 400)), rng.random((3, 400)))
    assert found["low"] < 0 < found["high"]
    assert found["low"] < found["difference"] < found["high"]


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    """No difference in truth; seeds shift all users of a training alike, by as much as users differ in the mean."""
    rng = np.random.default_rng(3)
    held = 0
    for _ in range(400):
        shifts, users = rng.normal(0, 0.05, (2, 3, 1)), rng.normal(0, 1, (2, 1, 400))
        found = paired_difference(shifts[0] + users[0], shifts[1] + users[1])
        held += found["low"] < 0 < found["high"]
    assert held >= 0.93 * 400


def test_one_seed_speaks_of_its_users_alone() -> None:
    users = np.random.default_rng(4).normal(0.1, 1, (1, 1000))
    found = paired_difference(users, np.zeros((1, 1000)))
    assert np.isclose(found["high"] - found["low"], 2 * 1.96 * users.std() / 1000**0.5, rtol=0.01)

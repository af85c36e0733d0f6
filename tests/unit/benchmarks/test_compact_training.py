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


def test_seeds_that_disagree_widen_the_interval_beyond_what_users_would() -> None:
    users = np.random.default_rng(3).normal(0, 0.01, 400)
    agreed = paired_difference(np.stack([users] * 4), np.zeros((4, 400)))
    torn = paired_difference(np.stack([users + shift for shift in (-0.1, -0.1, 0.1, 0.1)]), np.zeros((4, 400)))
    assert torn["high"] - torn["low"] > 10 * (agreed["high"] - agreed["low"])

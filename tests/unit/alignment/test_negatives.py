"""Negatives: never what was bought, and as hard as their kind says."""

from __future__ import annotations

import numpy as np
import pytest

from semconv.alignment.negatives import KINDS, NEAR, Negatives
from semconv.artifacts.ragged import Ragged

N_ITEMS = 200
CODES = np.stack([np.arange(N_ITEMS) // 50, np.arange(N_ITEMS) // 10 % 5, np.arange(N_ITEMS) % 10], axis=1).astype(
    np.int32
)
TRAINING = Ragged.of([[7] * 30, list(range(40, 60)), [7, 150]])


@pytest.fixture(scope="module")
def negatives() -> Negatives:
    # Behaviour is an angle that grows with the item's number; every tenth item has none.
    angles = np.arange(N_ITEMS) * np.pi / N_ITEMS
    behaviour = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    return Negatives(TRAINING, CODES, behaviour, np.arange(N_ITEMS) % 10 != 0, seed=3)


@pytest.mark.parametrize("kind", KINDS)
def test_none_was_bought_and_none_comes_twice(negatives: Negatives, kind: str) -> None:
    owned = np.asarray([104, 106, 107, 7, 3], np.int32)
    for seed in range(200):
        random = np.random.default_rng(seed)
        found = negatives.draw(kind, 105, owned, 5, random).tolist()
        assert len(set(found)) == len(found) == 5
        assert not {105, *owned.tolist()} & set(found)


def test_semantic_ones_share_the_longest_beginning_that_has_enough(negatives: Negatives) -> None:
    owned = np.asarray([100, 101, 102, 103], np.int32)
    near = {item for item in range(100, 110) if item not in {105, *owned.tolist()}}
    for seed in range(50):
        found = negatives.draw("semantic", 105, owned, 8, np.random.default_rng(seed))
        assert set(found[:5].tolist()) == near
        assert set((found[5:] // 50).tolist()) == {2}


def test_behavioural_ones_are_the_nearest_neighbours(negatives: Negatives) -> None:
    nearest = sorted((item for item in range(N_ITEMS) if item % 10 and item != 105), key=lambda item: abs(item - 105))
    drawn = {int(negatives.draw("behavioural", 105, TRAINING[2], 1, np.random.default_rng(s))[0]) for s in range(300)}
    assert drawn <= set(nearest[: NEAR + 1])
    assert len(drawn) > NEAR // 2
    unknown = {int(negatives.draw("behavioural", 110, TRAINING[2], 1, np.random.default_rng(s))[0]) for s in range(300)}
    assert len(unknown) > 100


def test_popular_ones_come_as_often_as_they_were_bought(negatives: Negatives) -> None:
    owned = np.zeros(0, np.int32)
    drawn = [int(negatives.draw("popularity", 5, owned, 1, np.random.default_rng(seed))[0]) for seed in range(600)]
    assert set(drawn) <= {7, 150, *range(40, 60)}
    assert drawn.count(7) / len(drawn) == pytest.approx(31 / 52, abs=0.08)


def test_whoever_bought_nearly_everything_gets_what_is_left(negatives: Negatives) -> None:
    owned = np.setdiff1d(np.arange(N_ITEMS), [5, 17, 90]).astype(np.int32)
    for kind in KINDS:
        found = negatives.draw(kind, 5, owned, 4, np.random.default_rng(1))
        assert sorted(found.tolist()) == [17, 90]


def test_what_reads_like_the_target_or_what_was_bought_comes_last_of_all() -> None:
    codes = np.asarray([[0, 0], [0, 0], [0, 1], [0, 1], [0, 2], [1, 0]], np.int32)
    behaviour = np.ones((len(codes), 2), np.float32)
    negatives = Negatives(Ragged.of([[0, 1, 2, 3, 4, 5]]), codes, behaviour, np.ones(len(codes), np.bool_), seed=1)
    for kind in KINDS:
        for seed in range(30):
            found = negatives.draw(kind, 0, np.asarray([2], np.int32), 4, np.random.default_rng(seed)).tolist()
            assert (set(found[:2]), set(found[2:])) == ({4, 5}, {1, 3})

"""Predicting the next prefix: proper chances, no prize for one code or for lots, and what finite counts cannot show."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from small_catalogue import FAMILY, N_ITEMS, make_corpus

from semconv.tokens.transitions import Predictability, Transitions, predictability


@pytest.fixture(scope="module")
def transitions(tmp_path_factory: pytest.TempPathFactory) -> Transitions:
    return Transitions.of(make_corpus(tmp_path_factory.mktemp("shop") / "corpus"))


def asked(codes: np.ndarray, transitions: Transitions, length: int = 1) -> Predictability:
    found = predictability(codes.astype(np.int32), transitions, length)
    assert found is not None
    return found


def test_steps_are_of_training_and_from_its_end_to_validation(tmp_path: Path) -> None:
    corpus = make_corpus(tmp_path / "corpus")
    transitions = Transitions.of(corpus)
    training, validation = [], []
    for items in corpus.sequences:
        row = items.tolist()
        training += list(pairwise(row[:-2]))
        validation.append((row[-3], row[-2]))
    assert [tuple(step) for step in transitions.training.tolist()] == training
    assert [tuple(step) for step in transitions.validation.tolist()] == validation


@pytest.mark.parametrize("length", [1, 2])
def test_chances_add_up_to_one(transitions: Transitions, length: int) -> None:
    codes = np.stack([FAMILY % 3, np.arange(N_ITEMS) % 4], axis=1)
    items = np.unique(codes[:, :length], axis=0, return_index=True)[1]
    for current in (0, 17, 40):
        chances = [
            2 ** -asked(codes, Transitions(transitions.training, np.asarray([[current, item]])), length).entropy
            for item in items
        ]
        assert sum(chances) == pytest.approx(1.0)


def test_smoothing_is_witten_and_bell_by_hand() -> None:
    """Items 0, 1, 2, each a code. After 0 came 1 twice and 2 once; after 1 came 0."""
    training = np.asarray([[0, 1], [0, 1], [0, 2], [1, 0]])
    found = asked(np.arange(3)[:, None], Transitions(training, np.asarray([[0, 1]])))
    common = (2 + 3 / 3) / (4 + 3)
    assert found.marginal_entropy == pytest.approx(-math.log2(common))
    assert found.entropy == pytest.approx(-math.log2((2 + 2 * common) / (3 + 2)))
    unseen = asked(np.arange(3)[:, None], Transitions(training, np.asarray([[2, 1]])))
    assert unseen.information == pytest.approx(0.0)


def test_codes_that_say_the_family_tell_of_the_next_item(transitions: Transitions) -> None:
    family = asked(FAMILY[:, None], transitions)
    assert family.information > 0.8 * math.log2(6)
    assert family.item_bits < math.log2(11) + 0.5


def test_an_index_of_one_code_has_no_entropy_and_wins_nothing(transitions: Transitions) -> None:
    one = asked(np.zeros((N_ITEMS, 1)), transitions)
    assert (one.entropy, one.information, one.normalised) == (0, 0, 0)
    assert one.item_bits == pytest.approx(math.log2(N_ITEMS))
    family = asked(FAMILY[:, None], transitions)
    lots = asked(np.random.default_rng(0).integers(0, 6, (N_ITEMS, 1)), transitions)
    assert lots.information < 0.1 < family.information
    assert family.item_bits < min(one.item_bits, lots.item_bits) - 1


def test_fewer_larger_codes_are_easier_to_predict(transitions: Transitions) -> None:
    """Codes of single items tell all that their families do, and more; counts as thin as these do not show it."""
    family, single = asked(FAMILY[:, None], transitions), asked(np.arange(N_ITEMS)[:, None], transitions)
    assert family.information > single.information + 0.3
    assert family.normalised > single.normalised


def test_longer_prefixes_fall_back_on_shorter_ones(transitions: Transitions) -> None:
    """With a tuple an item the counts are thin; the family under it still tells."""
    codes = np.stack([FAMILY, np.arange(N_ITEMS) % 11], axis=1)
    deep = asked(codes, transitions, 2)
    flat = asked(np.arange(N_ITEMS)[:, None], transitions)
    assert deep.item_bits < flat.item_bits - 0.3


def test_without_validation_there_is_nothing_to_say(transitions: Transitions) -> None:
    nothing = Transitions(transitions.training, np.zeros((0, 2), np.int64))
    assert predictability(np.zeros((N_ITEMS, 2), np.int32), nothing, 1) is None
    untrained = Transitions(np.zeros((0, 2), np.int64), transitions.validation)
    assert asked(FAMILY[:, None], untrained).entropy == pytest.approx(math.log2(6))

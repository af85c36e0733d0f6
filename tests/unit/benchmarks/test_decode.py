"""What the decoding benchmark says about a search: that it is the rival's, and how fast it is."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.decode_models import GPU_SHAPES, synthetic_codes
from benchmarks.decode_served import SERVED, Served, served
from benchmarks.generate import Continuations, Ranked, agrees
from semconv.behaviour.ordering import NO_ITEM

WANTED: Ranked = [(7, -1.0), (3, -2.0), (4, -2.000008), (5, -2.000016), (1, -3.0), (8, -4.0), (9, -4.000005)]
"""Items 3, 4 and 5 are a chain of ties; 8 and 9 are tied with each other and perhaps with what follows."""


def changed(rank: int, item: int | None = None, by: float = 0.0) -> Ranked:
    """`WANTED` with another item at a rank, or its score off."""
    there, score = WANTED[rank]
    return [*WANTED[:rank], (there if item is None else item, score + by), *WANTED[rank + 1 :]]


def placed(*items: int) -> Ranked:
    """These items at the wanted scores."""
    return [(item, score) for item, (_, score) in zip(items, WANTED, strict=False)]


@pytest.mark.parametrize(
    "found",
    [
        WANTED,
        changed(4, by=9e-5),
        placed(7, 5, 3, 4, 1, 9, 8),  # ties in any order
        placed(7, 3, 4, 5, 1, 8, 6),  # a stranger tied at the end, where what generate says next is not known
    ],
)
def test_the_same_answer_is_recognised(found: Ranked) -> None:
    assert agrees(found, WANTED, 7)


@pytest.mark.parametrize(
    "found",
    [
        placed(3, 7, 4, 5, 1, 8, 9),  # swapped beyond ties
        placed(7, 3, 4, 1, 5, 8, 9),  # swapped out of a tie
        placed(7, 3, 6, 5, 1, 8, 9),  # a stranger in a tie
        placed(7, 3, 4, 5, 6, 8, 9),  # a stranger alone
        changed(5, item=6, by=-5e-5),  # a stranger not tied with the last
        placed(7, 3, 4, 5, 1, 8, 1),  # an item twice
        changed(0, by=1e-3),
        changed(6, by=-1e-3),
        WANTED[:6],  # too short
        [*WANTED, (6, -5.0)],  # too long
        [*WANTED[:6], (NO_ITEM, -np.inf)],
        [],
    ],
)
def test_a_wrong_answer_is_not_the_same(found: Ranked) -> None:
    assert not agrees(found, WANTED, 7)


def test_where_a_tie_goes_on_past_k_any_of_it_may_be_found() -> None:
    assert agrees(placed(7, 5, 4), WANTED, 3)
    assert not agrees(placed(7, 5, 1), WANTED, 3)
    assert not agrees(placed(7, 5, 6), WANTED, 3)
    assert not agrees(placed(7, 5), WANTED, 3)


def test_items_that_share_a_tuple_share_its_score() -> None:
    legal = Continuations([(5, 9), (6, 8), (5, 9), (5, 7)])
    assert (legal.after(()), legal.after((5,)), legal.after((6,)), legal.after((4,))) == ([5, 6], [7, 9], [8], [0])
    ranked = legal.items_of([((5, 9), -1.0), ((6, 8), -2.0)])
    assert ranked == [(0, -1.0), (2, -1.0), (1, -2.0)]
    assert agrees([(2, -1.0), (0, -1.0)], ranked, 2)
    assert not agrees([(0, -1.0), (1, -2.0)], ranked, 2)


def test_models_for_the_gpu_have_the_published_vocabulary() -> None:
    assert {shape["vocab_size"] for shape in GPU_SHAPES.values()} == {151_936}
    assert all(setting.shape in GPU_SHAPES.values() for setting in SERVED.values())
    asked = {(setting.prompt, setting.beams, setting.levels) for setting in SERVED.values()}
    assert asked == {(1000, 256, 3), (300, 50, 4)}


def test_a_served_setting_is_measured_by_scoring() -> None:
    shape = GPU_SHAPES["qwen3-0.6b"] | {
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "intermediate_size": 16,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 8,
        "vocab_size": 2000,
    }
    measured = served(Served(shape, prompt=9, beams=5, levels=3, batch=2), synthetic_codes(200), 1)
    assert measured.keys() == {"full", "legal"}
    for row in measured.values():
        assert row["users_per_s"] * row["ms"] == pytest.approx(2000)
        assert row["ms"] > 0


def test_synthetic_codes_branch_about_as_the_published_ones_do() -> None:
    codes = synthetic_codes(12_101)
    for level, least, most in ((2, 0.2, 0.35), (3, 0.01, 0.04)):
        longer = np.unique(codes[:, : level + 1], axis=0)
        ways = np.unique(longer[:, :level], axis=0, return_counts=True)[1]
        assert least < (ways > 1).mean() < most

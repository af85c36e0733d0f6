"""Purity by pairs: by hand, and unmoved by how finely items are divided."""

from __future__ import annotations

import numpy as np
import pytest

from semconv.tokens.categories import NO_KIND, kinds, purity


def test_an_item_is_of_its_rarest_category() -> None:
    found = kinds(
        [["Beauty", "Nails"], ["Nails", "Beauty", " Beauty"], ["Beauty", "Hair"], [], None, [" ", None], ["B"]]
    )
    assert found[0] == found[1] != found[2]
    assert found[3:6].tolist() == [NO_KIND] * 3
    assert len({found[0], found[2], found[6]}) == 3


def test_equally_rare_categories_go_by_name() -> None:
    assert kinds([["b", "a"], ["a", "b"]]).tolist() == kinds([["a"], ["a"]]).tolist()


def test_purity_is_the_chance_that_a_mate_is_alike() -> None:
    codes = np.asarray([[0, 0], [0, 0], [0, 1], [1, 0], [1, 1], [1, 1], [2, 0]], np.int32)
    found = purity(codes, np.asarray([5, 5, 6, 7, 7, NO_KIND, 5]))
    assert found is not None
    # No prefix: of six items with a kind, the 5s have two alike of five others, the 7s one, the 6 none.
    assert found[0].chance == pytest.approx((3 * 2 / 5 + 2 / 5) / 6)
    assert found[1].chance == pytest.approx((1 / 2 + 1 / 2 + 0 + 1 + 1) / 5)
    assert found[1].asked == pytest.approx(5 / 6)
    assert (found[2].chance, found[2].asked) == (1.0, pytest.approx(2 / 6))


def test_scattering_items_does_not_make_them_pure() -> None:
    random = np.random.default_rng(0)
    labels = random.integers(0, 4, 4000)
    found = purity(random.integers(0, 1500, (4000, 1)).astype(np.int32), labels)
    assert found is not None
    assert found[1].chance == pytest.approx(found[0].chance, abs=0.03)


def test_without_mates_or_categories() -> None:
    alone = purity(np.arange(4)[:, None].astype(np.int32), np.asarray([0, 0, 1, 1]))
    assert alone is not None
    assert alone[0].chance is not None
    assert (alone[1].chance, alone[1].asked) == (None, 0.0)
    assert purity(np.zeros((3, 1), np.int32), np.full(3, NO_KIND)) is None
    single = purity(np.zeros((1, 1), np.int32), np.zeros(1, np.int64))
    assert single is not None
    assert [(found.chance, found.asked) for found in single] == [(None, 0.0)] * 2

"""Guesses from the nearest items: of blocks as of the whole, from few, from none, from a share of very many."""

from __future__ import annotations

import pytest
import torch

from semconv.tokens import guess as module
from semconv.tokens.guess import NEIGHBOURS, guess, references


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_the_mean_of_the_nearest_by_direction_whatever_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    known, refs, values = drawn(23, 4), drawn(60, 4, seed=1), drawn(60, 3, seed=2)
    cosine = torch.nn.functional.cosine_similarity(known[:, None], refs[None], dim=2)
    expected = torch.stack([values[row.argsort(descending=True)[:NEIGHBOURS]].mean(dim=0) for row in cosine])
    torch.testing.assert_close(guess(known, refs, values), expected)
    torch.testing.assert_close(guess(known * 7.0, refs * 3.0, values), expected)
    monkeypatch.setattr(module, "_BLOCK_BYTES", 5 * 4 * 60)
    torch.testing.assert_close(guess(known, refs, values), expected)


def test_fewer_references_than_neighbours_all_count_and_none_say_nothing() -> None:
    values = drawn(3, 2)
    torch.testing.assert_close(guess(drawn(4, 5), drawn(3, 5), values), values.mean(dim=0).expand(4, 2))
    assert guess(drawn(4, 5), drawn(0, 5), drawn(0, 2)).tolist() == [[0.0, 0.0]] * 4
    assert guess(drawn(0, 5), drawn(3, 5), values).shape == (0, 2)


def test_references_that_are_copies_speak_all_or_none_whatever_their_order() -> None:
    """Of 100 that read alike no ten are picked; nine nearer ones count once each."""
    text = drawn(4, 5)
    refs, values = torch.cat([text[:1].repeat(100, 1), drawn(400, 5, seed=1)]), drawn(500, 3, seed=2)
    found = guess(text, refs, values)
    torch.testing.assert_close(found[0], values[:100].mean(dim=0))
    shuffled = torch.randperm(500, generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(guess(text, refs[shuffled], values[shuffled]), found)
    asked = text[:1] + 0.05 * drawn(1, 5, seed=4)
    mixed = torch.cat([asked.repeat(9, 1), refs])
    nine = drawn(9, 3, seed=5)
    torch.testing.assert_close(
        guess(asked, mixed, torch.cat([nine, values]))[0], torch.cat([nine, values[:100]]).mean(dim=0)
    )


def test_an_item_that_nothing_sets_apart_gets_the_mean_of_all() -> None:
    values = drawn(60, 3)
    torch.testing.assert_close(guess(torch.zeros(2, 4), drawn(60, 4, seed=1), values)[1], values.mean(dim=0))
    torch.testing.assert_close(guess(torch.zeros(1, 4), torch.zeros(60, 4), values)[0], values.mean(dim=0))


@pytest.mark.parametrize("many", [0, 1, 7, 8, 9, 1000])
def test_references_are_all_items_or_a_share_from_end_to_end(monkeypatch: pytest.MonkeyPatch, many: int) -> None:
    monkeypatch.setattr(module, "REFERENCES", 8)
    rows = references(many).tolist()
    assert len(set(rows)) == len(rows) == min(many, 8)
    assert all(0 <= row < many for row in rows)
    if many > 8:
        assert rows[-1] >= many - many / 8 - 1

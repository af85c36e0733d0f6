"""The token spelling: Hugging Face's own beam search, and brute force, find what ours finds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from spelling import START, WORDS, Spelling, distinct_rows, item_score, language_model

from benchmarks.generate import Continuations, agrees, generate
from semconv.behaviour.ordering import NO_ITEM
from semconv.llm.search import Scoring, beam_search
from semconv.llm.trie import Trie

SHAPES = ["qwen3", "llama", "gpt2"]


def require_what_generate_finds(model: Any, spelling: Spelling, histories: list[Any], beams: int) -> None:
    trie = Trie.build(spelling.rows, spelling.codes)
    found = beam_search(spelling.beam_model(model), trie, histories, beams, beams, "full")
    legal = Continuations([spelling.answer(item) for item in range(len(spelling.rows))])
    answers = generate(model, [spelling.prompt(history) for history in histories], legal, beams)
    assert NO_ITEM not in found.items
    for items, scores, answer in zip(found.items, found.scores, answers, strict=True):
        assert agrees(list(zip(items.tolist(), scores.tolist(), strict=True)), legal.items_of(answer), beams)


def random_catalogue(rng: np.random.Generator, collisions: bool, least: int = 20) -> tuple[Any, int]:
    """Code tuples and codes per level; with collisions a quarter of the items share another's tuple, or more."""
    levels, codes = int(rng.integers(2, 6)), int(rng.integers(3, 13))
    if codes**levels < 2 * least:
        codes = 13
    rows = distinct_rows(rng, int(rng.integers(2 * least, 200)), levels, codes)
    if collisions:
        rows = np.concatenate([rows, rows[rng.integers(0, len(rows), len(rows) // 3)]])
        rng.shuffle(rows)
    return rows, codes


def require_it_of_a_random_draw(shape: str, collisions: bool, seed: int, beams: int | None) -> None:
    """Levels, catalogue, opening, mixed histories and, unless given, beams by ``seed``."""
    rng = np.random.default_rng((seed, SHAPES.index(shape), collisions))
    rows, codes = random_catalogue(rng, collisions, beams or 20)
    assert (len(np.unique(rows, axis=0)) < len(rows)) == collisions
    opening = tuple(rng.integers(1, WORDS, 20)) if rng.random() < 0.25 else (START,)
    spelling = Spelling(rows, codes, opening)
    histories = [rng.integers(0, len(rows), rng.integers(0, 9)).astype(np.int32) for _ in range(4)]
    beams = beams or min(int(rng.integers(2, 64)), len(np.unique(rows, axis=0)))
    require_what_generate_finds(language_model(shape, spelling.vocabulary), spelling, histories, beams)


@pytest.mark.parametrize("shape", ["cohere", "granite"])
def test_scores_are_scaled_as_the_model_scales_them(shape: str) -> None:
    rng = np.random.default_rng(3)
    spelling = Spelling(distinct_rows(rng, 60, 3, 6), 6)
    histories = [rng.integers(0, len(spelling.rows), length).astype(np.int32) for length in (0, 4)]
    require_what_generate_finds(language_model(shape, spelling.vocabulary), spelling, histories, 10)


@pytest.mark.parametrize("collisions", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("seed", range(5))
def test_it_finds_what_generate_finds(shape: str, collisions: bool, seed: int) -> None:
    require_it_of_a_random_draw(shape, collisions, seed, None)


@pytest.mark.parametrize("collisions", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("beams", [1, 64])
def test_it_finds_what_generate_finds_with_fewest_and_most_beams(shape: str, collisions: bool, beams: int) -> None:
    require_it_of_a_random_draw(shape, collisions, 100 + beams, beams)


@pytest.mark.data
@pytest.mark.parametrize(
    ("index", "shape", "beams"),
    [
        ("letter_native", "qwen3", 1),
        ("letter_native", "llama", 20),
        ("letter_native", "gpt2", 64),
        ("rqvae_native", "qwen3", 20),
        ("rqvae_native", "llama", 64),
        ("rqvae_native", "gpt2", 1),
        ("rkmeans_native", "qwen3", 64),
        ("rkmeans_native", "llama", 1),
        ("rkmeans_native", "gpt2", 20),
    ],
)
def test_it_finds_what_generate_finds_in_a_published_index(
    index: str, shape: str, beams: int, published_codes: Any
) -> None:
    spelling = Spelling(published_codes(index), 256)
    model = language_model(shape, spelling.vocabulary)
    rng = np.random.default_rng(len(index))
    histories = [rng.integers(0, len(spelling.rows), length).astype(np.int32) for length in (1, 20, 7, 12)]
    require_what_generate_finds(model, spelling, histories, beams)


@pytest.mark.parametrize("scoring", ["full", "legal"])
@pytest.mark.parametrize("shape", [*SHAPES, "phi"])
@pytest.mark.parametrize("seed", range(4))
def test_every_item_gets_the_score_of_a_plain_forward_pass(shape: str, scoring: Scoring, seed: int) -> None:
    """Beams for the whole catalogue; many prefixes have one continuation, so that tokens wait to be fed."""
    rng = np.random.default_rng(seed)
    rows = distinct_rows(rng, 30, 4, 3)
    rows = np.concatenate([rows, rows[:5]])
    spelling = Spelling(rows, 3)
    model = language_model(shape, spelling.vocabulary)
    histories = [rng.integers(0, len(rows), length).astype(np.int32) for length in (0, 3, 9)]
    found = beam_search(spelling.beam_model(model), Trie.build(rows, 3), histories, len(rows), len(rows), scoring)
    for user, history in enumerate(histories):
        assert sorted(found.items[user].tolist()) == list(range(len(rows)))
        scores = [item_score(model, spelling, history, item, scoring) for item in found.items[user].tolist()]
        np.testing.assert_allclose(found.scores[user], scores, atol=1e-4)
        assert (np.diff(found.scores[user]) <= 0).all()

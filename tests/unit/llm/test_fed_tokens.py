"""The token spelling: no token goes through the model that no question needs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from spelling import Spelling, language_model

from benchmarks.token_bound import token_bound
from semconv.llm.search import Scoring, beam_search
from semconv.llm.trie import Trie


def fed_tokens(model: Any, spelling: Spelling, histories: list[Any], beams: int, scoring: Scoring) -> int:
    """Tokens that one search sends through the embedding."""
    beam_model, trie, fed = spelling.beam_model(model), Trie.build(spelling.rows, spelling.codes), []
    hook = model.get_input_embeddings().register_forward_hook(lambda _m, given, _o: fed.append(given[0].numel()))
    beam_search(beam_model, trie, histories, beams, beams, scoring)
    hook.remove()
    return sum(fed)


@torch.no_grad()
def needed_codes(model: Any, spelling: Spelling, history: Any, beams: int, scoring: Scoring) -> int:
    """Distinct prefixes of the beams that must be asked, by plain forward passes over every item's text."""
    rows = list(map(tuple, np.unique(spelling.rows, axis=0).tolist()))
    prompt = spelling.prompt(history)
    texts = [prompt + [int(spelling.tokens_LC[level, code]) for level, code in enumerate(row)] for row in rows]
    logits_NLV = model(input_ids=torch.tensor(texts)).logits[:, len(prompt) - 1 : -1]
    live: dict[tuple[int, ...], float] = {(): 0.0}
    needed: set[tuple[int, ...]] = set()
    for level in range(spelling.levels):
        longer: dict[tuple[int, ...], float] = {}
        for prefix, score in live.items():
            codes = sorted({row[level] for row in rows if row[:level] == prefix})
            if level and (scoring == "full" or len(codes) > 1):
                needed |= {prefix[:length] for length in range(1, level + 1)}
            witness = next(place for place, row in enumerate(rows) if row[:level] == prefix)
            logits_V = logits_NLV[witness, level]
            legal_c = logits_V[spelling.tokens_LC[level][codes]]
            gains = legal_c - (logits_V if scoring == "full" else legal_c).logsumexp(0)
            longer |= {(*prefix, code): score + float(gain) for code, gain in zip(codes, gains, strict=True)}
        live = dict(sorted(longer.items(), key=lambda entry: -entry[1])[:beams])
    return len(needed)


def chains(rng: np.random.Generator) -> Any:
    """Tuples of five codes, most of which have one continuation for a level or several, then a choice again."""
    rows = []
    for _ in range(12):
        stem = rng.integers(0, 6, 5)
        for _ in range(int(rng.integers(1, 4))):
            split = int(rng.integers(1, 5))
            rows.append([*stem[:split], *rng.integers(0, 6, 5 - split)])
    return np.unique(np.array(rows, np.int32), axis=0)


@pytest.mark.parametrize("scoring", ["full", "legal"])
@pytest.mark.parametrize(("seed", "beams"), [(0, 4), (1, 9), (2, 40), (3, 1)])
def test_it_feeds_the_prompts_and_the_codes_that_lead_to_a_question(seed: int, beams: int, scoring: Scoring) -> None:
    rng = np.random.default_rng(seed)
    spelling = Spelling(chains(rng), 6)
    model = language_model("qwen3", spelling.vocabulary)
    histories = [rng.integers(0, len(spelling.rows), length).astype(np.int32) for length in (0, 2, 5)]
    prompts = [np.array(spelling.prompt(history), np.int32) for history in histories]
    needed = [needed_codes(model, spelling, history, beams, scoring) for history in histories]
    fed = fed_tokens(model, spelling, histories, beams, scoring)
    assert fed == sum(map(len, prompts)) + sum(needed)
    assert fed == token_bound(model, spelling.tokens_LC, spelling.rows, prompts, beams, scoring)


def test_items_with_first_codes_of_their_own_cost_the_prompt_alone() -> None:
    rng = np.random.default_rng(0)
    rows = np.concatenate([np.arange(7)[:, None], rng.integers(0, 7, (7, 3))], axis=1).astype(np.int32)
    spelling = Spelling(rows, 7)
    model = language_model("qwen3", spelling.vocabulary)
    histories = [np.arange(length, dtype=np.int32) for length in (0, 3)]
    prompts = sum(len(spelling.prompt(history)) for history in histories)
    assert fed_tokens(model, spelling, histories, 7, "legal") == prompts
    assert fed_tokens(model, spelling, histories, 7, "full") == prompts + 2 * 7 * 3


def test_a_choice_at_the_end_of_a_chain_costs_the_chain_once() -> None:
    rows = np.array([[0, 1, 2, 3], [0, 1, 2, 4], [0, 1, 2, 0], [1, 0, 0, 0], [2, 4, 0, 0], [2, 4, 1, 1]], np.int32)
    spelling = Spelling(rows, 5)
    model = language_model("qwen3", spelling.vocabulary)
    histories = [np.zeros(2, np.int32)]
    # Three codes lead to the choice after 0, 1, 2, two to the one after 2, 4; 1 leads to none.
    assert fed_tokens(model, spelling, histories, 6, "legal") == len(spelling.prompt(histories[0])) + 3 + 2

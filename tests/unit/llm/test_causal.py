"""The token spelling: Hugging Face's own beam search, and brute force, find what ours finds."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    BloomConfig,
    CohereConfig,
    Gemma2Config,
    GenerationConfig,
    GPT2Config,
    LlamaConfig,
    MistralConfig,
    Qwen3Config,
)

from benchmarks.generate import agrees, generate, spoken
from semconv.errors import ArtifactError, InputError, SemconvError
from semconv.llm import code_head, prompt_cache
from semconv.llm.causal import CausalBeamModel, unpadded
from semconv.llm.search import Scoring, beam_search
from semconv.llm.trie import Trie

WORDS = 10
START = 3
SIZES: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 96,
}


def language_model(shape: str, vocabulary: int) -> Any:
    """A random model whose next-token probabilities are far from uniform."""
    torch.manual_seed(7)
    config: Any = {
        "qwen3": lambda: Qwen3Config(**SIZES, vocab_size=vocabulary, num_key_value_heads=2, head_dim=8),
        "llama": lambda: LlamaConfig(**SIZES, vocab_size=vocabulary, num_key_value_heads=4),
        "mistral": lambda: MistralConfig(**SIZES, vocab_size=vocabulary, num_key_value_heads=2, sliding_window=8),
        "gemma2": lambda: Gemma2Config(**SIZES, vocab_size=vocabulary, num_key_value_heads=2, head_dim=8),
        "cohere": lambda: CohereConfig(**SIZES, vocab_size=vocabulary, num_key_value_heads=2, logit_scale=0.1),
        "bloom": lambda: BloomConfig(hidden_size=32, n_layer=2, n_head=4, vocab_size=vocabulary),
        "gpt2": lambda: GPT2Config(
            n_embd=32, n_layer=2, n_head=4, n_positions=96, vocab_size=vocabulary, bos_token_id=1, eos_token_id=2
        ),
    }[shape]()
    config.initializer_range = 0.3
    return AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()


class Spelling:
    """Histories as code tokens after a start token; level l's code c is token WORDS + l * C + c."""

    def __init__(self, rows: Any, codes: int, opening: tuple[int, ...] = (START,)) -> None:
        self.rows, self.codes, self.levels, self.opening = rows, codes, rows.shape[1], opening
        self.tokens_LC = WORDS + torch.arange(self.levels * codes).view(self.levels, codes)
        self.vocabulary = WORDS + self.levels * codes

    def answer(self, item: int) -> tuple[int, ...]:
        return tuple(int(self.tokens_LC[level, code]) for level, code in enumerate(self.rows[item]))

    def prompt(self, history: Any) -> list[int]:
        return [*self.opening, *itertools.chain(*(self.answer(int(item)) for item in history))]

    def beam_model(self, model: Any) -> CausalBeamModel:
        return CausalBeamModel(model, self.tokens_LC, self.prompt)


def distinct_rows(rng: np.random.Generator, items: int, levels: int, codes: int) -> Any:
    rows = np.unique(rng.integers(0, codes, (items, levels)), axis=0).astype(np.int32)
    rng.shuffle(rows)
    return rows


def require_what_generate_finds(model: Any, spelling: Spelling, histories: list[Any], beams: int) -> None:
    found = beam_search(
        spelling.beam_model(model), Trie.build(spelling.rows, spelling.codes), histories, beams, beams, "full"
    )
    answers = [spelling.answer(item) for item in range(len(spelling.rows))]
    wanted = generate(model, [spelling.prompt(history) for history in histories], answers, beams)
    for items, scores, expected in zip(*found, wanted, strict=True):
        mine = spoken(items, scores.tolist(), answers)
        assert agrees(mine, expected)
        assert len(expected) == beams
        assert len(mine) == beams - sum(
            answers[item] in [answers[i] for i in items[:rank]] for rank, item in enumerate(items)
        )


@pytest.mark.parametrize("seed", range(36))
def test_it_finds_what_generate_finds(seed: int) -> None:
    """A sweep drawn at random: shapes, levels, beams, catalogues with and without collisions, mixed histories."""
    rng = np.random.default_rng(seed)
    levels, codes = int(rng.integers(2, 6)), int(rng.integers(3, 13))
    rows = rng.integers(0, codes, (int(rng.integers(20, 200)), levels)).astype(np.int32)
    if seed % 3:
        rows = distinct_rows(rng, len(rows), levels, codes)
    opening = tuple(rng.integers(1, WORDS, 20)) if seed % 4 == 0 else (START,)
    spelling = Spelling(rows, codes, opening)
    model = language_model(("qwen3", "llama", "gpt2")[seed % 3 - 1], spelling.vocabulary)
    histories = [rng.integers(0, len(rows), rng.integers(0, 9)).astype(np.int32) for _ in range(4)]
    beams = min(int(rng.integers(1, 65)), len(np.unique(rows, axis=0)))
    require_what_generate_finds(model, spelling, histories, beams)


@pytest.mark.data
@pytest.mark.parametrize("index", ["letter_native", "rqvae_native", "rkmeans_native"])
@pytest.mark.parametrize("shape", ["qwen3", "llama", "gpt2"])
def test_it_finds_what_generate_finds_in_a_published_index(shape: str, index: str, published_codes: Any) -> None:
    spelling = Spelling(published_codes(index), 256)
    model = language_model(shape, spelling.vocabulary)
    rng = np.random.default_rng(len(index))
    histories = [rng.integers(0, len(spelling.rows), length).astype(np.int32) for length in (1, 20, 7, 12)]
    require_what_generate_finds(model, spelling, histories, 20)


@pytest.mark.parametrize("scoring", ["full", "legal"])
@pytest.mark.parametrize("shape", ["qwen3", "llama", "gpt2"])
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


@torch.no_grad()
def item_score(model: Any, spelling: Spelling, history: Any, item: int, scoring: str) -> float:
    """The log-probability of an item's codes by one forward pass over the whole text."""
    prompt, row = spelling.prompt(history), spelling.rows[item]
    logits_TV = model(input_ids=torch.tensor([prompt + list(spelling.answer(item))])).logits[0, len(prompt) - 1 :]
    total = 0.0
    for level, code in enumerate(row):
        level_C = logits_TV[level][spelling.tokens_LC[level]]
        if scoring == "full":
            normaliser = logits_TV[level].logsumexp(0)
        else:
            same = (spelling.rows[:, :level] == row[:level]).all(1)
            normaliser = level_C[np.unique(spelling.rows[same, level])].logsumexp(0)
        total += float(level_C[code] - normaliser)
    return total


@pytest.fixture
def small() -> tuple[Spelling, Any, Trie]:
    rows = np.random.default_rng(0).integers(0, 6, (40, 3)).astype(np.int32)
    spelling = Spelling(rows, 6)
    return spelling, language_model("qwen3", spelling.vocabulary), Trie.build(rows, 6)


@pytest.mark.parametrize("scoring", ["full", "legal"])
def test_a_users_answer_does_not_depend_on_the_batch(small: Any, scoring: Scoring) -> None:
    spelling, model, trie = small
    beam_model = spelling.beam_model(model)
    histories = [np.arange(length, dtype=np.int32) for length in (0, 4, 9)]
    together = beam_search(beam_model, trie, histories, 10, 10, scoring)
    for user, history in enumerate(histories):
        alone = beam_search(beam_model, trie, [history], 10, 10, scoring)
        np.testing.assert_allclose(together.scores[user], alone.scores[0], atol=1e-5)
        assert together.items[user].tolist() == alone.items[0].tolist()


def test_reading_in_several_passes_and_slices_changes_nothing(small: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    spelling, model, trie = small
    beam_model = spelling.beam_model(model)
    histories = [np.arange(length, dtype=np.int32) for length in (0, 4, 9, 2, 2, 30)]
    whole = beam_search(beam_model, trie, histories, 10, 10)
    monkeypatch.setitem(prompt_cache.READ_TOKENS, "cpu", 20)
    monkeypatch.setitem(code_head.LOGITS, "cpu", 64)
    parts = beam_search(beam_model, trie, histories, 10, 10)
    np.testing.assert_array_equal(whole.items, parts.items)
    np.testing.assert_allclose(whole.scores, parts.scores, atol=1e-5)


def test_a_common_opening_is_read_once(small: Any) -> None:
    spelling, model, trie = small
    spelled = Spelling(spelling.rows, spelling.codes, opening=tuple(range(1, 10)) * 3)
    histories = [np.arange(length, dtype=np.int32) for length in (0, 4, 9)]
    read: list[int] = []
    hook = model.get_input_embeddings().register_forward_hook(lambda _m, given, _o: read.append(given[0].numel()))
    beam_model = spelled.beam_model(model)
    read.clear()
    together = beam_search(beam_model, trie, histories, 10, 10)
    hook.remove()
    assert read[0] == 26  # each prompt keeps its last common token to itself
    assert read[1] == sum(1 + 3 * len(history) for history in histories)
    for user, history in enumerate(histories):
        alone = beam_search(beam_model, trie, [history], 10, 10)
        np.testing.assert_allclose(together.scores[user], alone.scores[0], atol=1e-5)


@pytest.mark.parametrize("side", ["left", "right"])
def test_padded_prompts_are_what_their_texts_are(small: Any, side: str) -> None:
    spelling, model, trie = small
    prompts = [spelling.prompt(np.arange(length)) for length in (0, 4, 9)]
    longest = max(map(len, prompts))
    pads = [[0] * (longest - len(prompt)) for prompt in prompts]
    rows = [pad + p if side == "left" else p + pad for pad, p in zip(pads, prompts, strict=True)]
    ones = [[1] * len(prompt) for prompt in prompts]
    masks = [pad + o if side == "left" else o + pad for pad, o in zip(pads, ones, strict=True)]
    texts = unpadded(torch.tensor(rows), torch.tensor(masks))
    assert [text.tolist() for text in texts] == prompts
    taken = CausalBeamModel(model, spelling.tokens_LC, lambda prompt: prompt)
    given = beam_search(taken, trie, texts, 10, 10)
    said = beam_search(
        spelling.beam_model(model), trie, [np.arange(length, dtype=np.int32) for length in (0, 4, 9)], 10, 10
    )
    np.testing.assert_array_equal(given.items, said.items)
    np.testing.assert_array_equal(given.scores, said.scores)


def test_generation_settings_do_not_leak_in(small: Any, tmp_path: Path) -> None:
    spelling, model, trie = small
    histories = [np.arange(4, dtype=np.int32)]
    model.save_pretrained(tmp_path / "plain")
    model.generation_config = GenerationConfig(
        temperature=5.0, top_k=2, repetition_penalty=9.0, do_sample=True, length_penalty=3.0, num_beams=3
    )
    model.save_pretrained(tmp_path / "odd")
    assert "repetition_penalty" in (tmp_path / "odd" / "generation_config.json").read_text()
    plain, odd = (
        beam_search(
            spelling.beam_model(AutoModelForCausalLM.from_pretrained(tmp_path / name).eval()), trie, histories, 10, 10
        )
        for name in ("plain", "odd")
    )
    np.testing.assert_array_equal(plain.items, odd.items)
    np.testing.assert_array_equal(plain.scores, odd.scores)


def test_the_model_is_left_as_it_was(small: Any) -> None:
    spelling, model, trie = small
    before = model.config._attn_implementation
    ids = torch.tensor([[4, 5, 6, 7]])
    plain = model(input_ids=ids).logits
    beam_search(spelling.beam_model(model), trie, [np.arange(4, dtype=np.int32)], 10, 10)
    assert model.config._attn_implementation == before
    assert torch.equal(model(input_ids=ids).logits, plain)


def test_bf16_ranks_much_as_float32_does(small: Any) -> None:
    spelling, model, trie = small
    histories = [np.arange(length, dtype=np.int32) for length in (0, 4, 9)]
    exact = beam_search(spelling.beam_model(model), trie, histories, 40, 40, "legal")
    rounded = beam_search(spelling.beam_model(model.bfloat16()), trie, histories, 40, 40, "legal")
    for user in range(3):
        near = dict(zip(exact.items[user].tolist(), exact.scores[user].tolist(), strict=True))
        far = [abs(near[item] - s) for item, s in zip(rounded.items[user].tolist(), rounded.scores[user], strict=True)]
        assert max(far) < 1.0
        assert np.median(far) < 0.2


def test_prompts_that_cannot_be_read_are_refused(small: Any) -> None:
    spelling, model, trie = small
    with pytest.raises(InputError, match="no room for 3 codes: the model reads 94 at most"):
        beam_search(spelling.beam_model(model), trie, [np.zeros(32, np.int32)], 3, 3)
    with pytest.raises(InputError, match="no token"):
        beam_search(CausalBeamModel(model, spelling.tokens_LC, lambda _: []), trie, [np.zeros(1, np.int32)], 3, 3)


def test_a_prompt_longer_than_the_attention_window_is_refused(small: Any) -> None:
    spelling, _, trie = small
    beam_model = spelling.beam_model(language_model("mistral", spelling.vocabulary))
    assert beam_search(beam_model, trie, [np.zeros(0, np.int32)], 2, 2).items.shape == (1, 2)
    with pytest.raises(InputError, match="looks back 8 tokens"):
        beam_search(beam_model, trie, [np.zeros(5, np.int32)], 2, 2)


@pytest.mark.parametrize("shape", ["gemma2", "cohere", "bloom"])
def test_a_model_that_shared_prompts_would_change_is_refused(small: Any, shape: str) -> None:
    spelling, _, _ = small
    with pytest.raises(ArtifactError, match="Qwen3, Llama or GPT-2"):
        spelling.beam_model(language_model(shape, spelling.vocabulary))


def test_a_model_without_the_code_tokens_is_refused(small: Any) -> None:
    spelling, model, _ = small
    with pytest.raises(ArtifactError, match="Code tokens reach"):
        CausalBeamModel(model, spelling.tokens_LC + 1, spelling.prompt)


def test_a_broken_model_is_an_error(small: Any) -> None:
    spelling, model, trie = small
    with torch.no_grad():
        model.lm_head.weight[WORDS] = torch.nan
    with pytest.raises(SemconvError, match="NaN"):
        beam_search(spelling.beam_model(model), trie, [np.zeros(1, np.int32)], 3, 3)

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    GenerationConfig,
    GPT2Config,
    LlamaConfig,
    Qwen3Config,
)

from semconv.errors import ArtifactError, InputError, SemconvError
from semconv.llm.causal import CausalBeamModel
from semconv.llm.search import beam_search
from semconv.llm.trie import Trie

WORDS = 10
START = 3
SIZES: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 64,
}


def language_model(shape: str, vocabulary: int) -> Any:
    """A random model whose next-token probabilities are far from uniform."""
    torch.manual_seed(7)
    config: Any = {
        "qwen3": lambda: Qwen3Config(**SIZES, vocab_size=vocabulary, num_key_value_heads=2, head_dim=8),
        "llama": lambda: LlamaConfig(**SIZES, vocab_size=vocabulary, num_key_value_heads=4),
        "gpt2": lambda: GPT2Config(
            n_embd=32, n_layer=2, n_head=4, n_positions=64, vocab_size=vocabulary, bos_token_id=1, eos_token_id=2
        ),
    }[shape]()
    config.initializer_range = 0.3
    return AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()


class Spelling:
    """Histories as code tokens after a start token; level l's code c is token WORDS + l * C + c."""

    def __init__(self, rows: Any, codes: int) -> None:
        self.rows, self.codes, self.levels = rows, codes, rows.shape[1]
        self.tokens_LC = WORDS + torch.arange(self.levels * codes).view(self.levels, codes)
        self.vocabulary = WORDS + self.levels * codes

    def answer(self, item: int) -> tuple[int, ...]:
        return tuple(int(self.tokens_LC[level, code]) for level, code in enumerate(self.rows[item]))

    def prompt(self, history: Any) -> list[int]:
        return [START, *itertools.chain(*(self.answer(int(item)) for item in history))]


def generated(model: Any, spelling: Spelling, histories: list[Any], beams: int) -> list[list[tuple[Any, float]]]:
    """Per history, the token tuples and scores that Hugging Face's own constrained beam search finds."""
    prompts = [spelling.prompt(history) for history in histories]
    longest = max(map(len, prompts))
    ids = torch.tensor([[0] * (longest - len(prompt)) + prompt for prompt in prompts])
    mask = torch.tensor([[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts])
    following: dict[tuple[int, ...], set[int]] = {}
    for item in range(len(spelling.rows)):
        answer = spelling.answer(item)
        for level in range(spelling.levels):
            following.setdefault(answer[:level], set()).add(answer[level])

    def allowed(_: int, sequence: torch.Tensor) -> list[int]:
        return sorted(following.get(tuple(sequence[longest:].tolist()), {0}))

    out = model.generate(
        input_ids=ids,
        attention_mask=mask,
        generation_config=GenerationConfig(
            num_beams=beams,
            num_return_sequences=beams,
            do_sample=False,
            max_new_tokens=spelling.levels,
            min_new_tokens=spelling.levels,
            length_penalty=0.0,
            pad_token_id=0,
            eos_token_id=None,
            return_dict_in_generate=True,
            output_scores=True,
            output_logits=True,
        ),
        prefix_allowed_tokens_fn=allowed,
    )
    answers = [tuple(row[longest:].tolist()) for row in out.sequences]
    if beams == 1:  # greedy: Hugging Face keeps no scores of sequences
        logp_BLV = torch.stack(out.logits, dim=1).log_softmax(-1)
        totals = logp_BLV.gather(2, out.sequences[:, longest:, None]).sum((1, 2))
    else:
        totals = out.sequences_scores
    pairs = list(zip(answers, totals.tolist(), strict=True))
    legal = {spelling.answer(item) for item in range(len(spelling.rows))}
    # Beams that Hugging Face fills up with, where fewer prefixes than beams are legal, score about -1e9.
    kept = [[pair for pair in pairs[i * beams : (i + 1) * beams] if pair[1] > -1e8] for i in range(len(prompts))]
    assert all(answer in legal for row in kept for answer, _ in row)
    return kept


@pytest.mark.parametrize(
    ("shape", "levels", "codes", "items", "beams"),
    [
        ("qwen3", 2, 12, 40, 1),
        ("qwen3", 3, 8, 120, 12),
        ("qwen3", 5, 4, 64, 40),
        ("llama", 2, 6, 30, 10),
        ("llama", 4, 8, 150, 20),
        ("gpt2", 3, 8, 120, 7),
        ("gpt2", 4, 8, 150, 20),
    ],
)
def test_it_finds_what_generate_finds(shape: str, levels: int, codes: int, items: int, beams: int) -> None:
    rng = np.random.default_rng(levels)
    rows = np.unique(rng.integers(0, codes, (items, levels)), axis=0).astype(np.int32)
    rng.shuffle(rows)
    spelling = Spelling(rows, codes)
    model = language_model(shape, spelling.vocabulary)
    histories = [rng.integers(0, len(rows), length).astype(np.int32) for length in (3, 0, 5, 1)]
    beams = min(beams, len(rows))
    found = beam_search(
        CausalBeamModel(model, spelling.tokens_LC, spelling.prompt), Trie.build(rows, codes), histories, beams, beams
    )
    for user, wanted in enumerate(generated(model, spelling, histories, beams)):
        scores = [score for _, score in wanted]
        np.testing.assert_allclose(found.scores[user][: len(wanted)], scores, atol=1e-4)
        mine = [spelling.answer(int(item)) for item in found.items[user][: len(wanted)]]
        untied = [
            rank
            for rank, score in enumerate(scores)
            if min((abs(score - other) for other in scores[:rank] + scores[rank + 1 :]), default=1.0) > 1e-5
        ]
        assert [mine[rank] for rank in untied] == [wanted[rank][0] for rank in untied]
        assert len(untied) >= len(wanted) * 0.9
        assert len(wanted) == beams


@pytest.fixture
def small() -> tuple[Spelling, Any, Trie]:
    rows = np.random.default_rng(0).integers(0, 6, (40, 3)).astype(np.int32)
    spelling = Spelling(rows, 6)
    return spelling, language_model("qwen3", spelling.vocabulary), Trie.build(rows, 6)


def test_a_users_answer_does_not_depend_on_the_batch(small: Any) -> None:
    spelling, model, trie = small
    beam_model = CausalBeamModel(model, spelling.tokens_LC, spelling.prompt)
    histories = [np.arange(length, dtype=np.int32) for length in (0, 4, 9)]
    together = beam_search(beam_model, trie, histories, 10, 10)
    for user, history in enumerate(histories):
        alone = beam_search(beam_model, trie, [history], 10, 10)
        np.testing.assert_allclose(together.scores[user], alone.scores[0], atol=1e-5)
        assert together.items[user].tolist() == alone.items[0].tolist()


def test_generation_settings_do_not_leak_in(small: Any) -> None:
    spelling, model, trie = small
    histories = [np.arange(4, dtype=np.int32)]
    plain = beam_search(CausalBeamModel(model, spelling.tokens_LC, spelling.prompt), trie, histories, 10, 10)
    model.generation_config.update(temperature=5.0, top_k=2, repetition_penalty=9.0, do_sample=True, length_penalty=3.0)
    odd = beam_search(CausalBeamModel(model, spelling.tokens_LC, spelling.prompt), trie, histories, 10, 10)
    np.testing.assert_array_equal(plain.items, odd.items)
    np.testing.assert_array_equal(plain.scores, odd.scores)


def test_prompts_that_cannot_be_read_are_refused(small: Any) -> None:
    spelling, model, trie = small
    with pytest.raises(InputError, match="no room for 3 codes: the model reads 62 at most"):
        beam_search(CausalBeamModel(model, spelling.tokens_LC, spelling.prompt), trie, [np.zeros(21, np.int32)], 3, 3)
    with pytest.raises(InputError, match="no token"):
        beam_search(CausalBeamModel(model, spelling.tokens_LC, lambda _: []), trie, [np.zeros(1, np.int32)], 3, 3)


def test_a_model_without_the_code_tokens_is_refused(small: Any) -> None:
    spelling, model, _ = small
    with pytest.raises(ArtifactError, match="Code tokens reach"):
        CausalBeamModel(model, spelling.tokens_LC + 1, spelling.prompt)


def test_a_broken_model_is_an_error(small: Any) -> None:
    spelling, model, trie = small
    with torch.no_grad():
        model.lm_head.weight[WORDS] = torch.nan
    with pytest.raises(SemconvError, match="NaN"):
        beam_search(CausalBeamModel(model, spelling.tokens_LC, spelling.prompt), trie, [np.zeros(1, np.int32)], 3, 3)

"""Tiny language models, catalogues spelt in their tokens, and scores by one plain forward pass."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import torch
from transformers import (
    AutoModelForCausalLM,
    BloomConfig,
    CohereConfig,
    Gemma2Config,
    GPT2Config,
    GraniteConfig,
    LlamaConfig,
    MistralConfig,
    PhiConfig,
    Qwen3Config,
)

from semconv.llm.causal import CausalBeamModel

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
        "granite": lambda: GraniteConfig(**SIZES, vocab_size=vocabulary, num_key_value_heads=2, logits_scaling=8.0),
        "bloom": lambda: BloomConfig(hidden_size=32, n_layer=2, n_head=4, vocab_size=vocabulary),
        "phi": lambda: PhiConfig(**SIZES, vocab_size=vocabulary),
        "gpt2": lambda: GPT2Config(
            n_embd=32, n_layer=2, n_head=4, n_positions=96, vocab_size=vocabulary, bos_token_id=1, eos_token_id=2
        ),
    }[shape]()
    config.initializer_range = 0.3
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    if shape == "phi":
        with torch.no_grad():
            model.lm_head.bias.normal_(std=2.0)
    return model.eval()


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

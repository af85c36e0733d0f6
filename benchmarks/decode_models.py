"""What the decoding benchmark decodes with: Qwen3 shapes with random weights, a catalogue of codes, prompts."""

from __future__ import annotations

import csv
import gzip
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForCausalLM, Qwen3Config

from semconv.artifacts import ItemVectors, finish
from semconv.artifacts.ragged import Int32
from semconv.llm.causal import CausalBeamModel
from semconv.llm.compact import CompactModel, CompactShape

LEVELS, CODES = 4, 256
SEED = 29
CPU_SHAPES = {
    "demo": {"hidden_size": 256, "num_hidden_layers": 6, "intermediate_size": 768, "num_attention_heads": 4},
    "40m": {"hidden_size": 512, "num_hidden_layers": 12, "intermediate_size": 1536, "num_attention_heads": 8},
}
"""With a vocabulary of 8,192: 6.8 and 42.0 million parameters. Two query heads share a key head of width 64."""
GPU_SHAPES = {
    "qwen3-0.6b": {"hidden_size": 1024, "num_hidden_layers": 28, "intermediate_size": 3072, "num_attention_heads": 16},
    "qwen3-1.7b": {"hidden_size": 2048, "num_hidden_layers": 28, "intermediate_size": 6144, "num_attention_heads": 16},
}


def language_model(shape: dict[str, int], dtype: torch.dtype, vocabulary: int = 8192) -> Any:
    """A Qwen3 of ``shape`` with random weights, on the GPU where there is one."""
    wide = shape["hidden_size"] >= 1024
    config = Qwen3Config(
        **shape,
        num_key_value_heads=shape["num_attention_heads"] // 2,
        head_dim=128 if wide else 64,
        vocab_size=vocabulary,
        max_position_embeddings=4096,
        tie_word_embeddings=True,
    )
    torch.manual_seed(SEED)
    model = AutoModelForCausalLM.from_config(config, dtype=dtype, attn_implementation="sdpa")
    return model.to("cuda" if torch.cuda.is_available() else "cpu").eval()


def code_tokens(model: Any) -> torch.Tensor:
    """Token ids of the codes, int64 (L, C): the last of the vocabulary."""
    vocabulary = model.get_input_embeddings().num_embeddings
    return torch.arange(vocabulary - LEVELS * CODES, vocabulary).view(LEVELS, CODES)


def token_model(model: Any) -> CausalBeamModel:
    """Histories given to it are taken as prompts."""
    return CausalBeamModel(model, code_tokens(model), lambda prompt: prompt)


def compact_model(shape: dict[str, int], codes_NL: Int32, dtype: torch.dtype) -> CompactModel:
    """A compact model on the backbone of `language_model`, over random text and behaviour vectors."""
    backbone = language_model(shape, dtype).base_model
    n_items = len(codes_NL)
    described = CompactShape(LEVELS, CODES, text_width=384, behaviour_width=128, depth_width=128, max_history=50)
    generator = torch.Generator().manual_seed(SEED)
    with tempfile.TemporaryDirectory() as folder:
        known = torch.ones(n_items, dtype=torch.bool)
        ItemVectors.write(
            Path(folder),
            text=torch.randn(n_items, described.text_width, generator=generator),
            behaviour=torch.randn(n_items, described.behaviour_width, generator=generator),
            has_text=known,
            has_behaviour=known.clone(),
        )
        finish(Path(folder), "vectors", settings={}, inputs={}, counts={}, request="benchmark", seconds=0)
        model = CompactModel(backbone, None, described)
        model.attach(codes_NL, ItemVectors.open(folder))
    return model.to(backbone.device, dtype).eval()


def read_index(path: Path) -> Int32:
    """Codes int32 (N, L) of a published index: columns ``code_0`` to ``code_3``."""
    with gzip.open(path, "rt") as stream:
        rows = [[int(row[f"code_{level}"]) for level in range(LEVELS)] for row in csv.DictReader(stream)]
    return np.array(rows, np.int32)


def synthetic_codes(items: int, seed: int = SEED) -> Int32:
    """Codes int32 (N, L) that branch as a published index of Beauty does, in whatever size.

    Of ``letter_native`` 28% of the two-code prefixes hold more than one third code, and 2% of the three-code prefixes
    more than one fourth: items pick a first code by a skewed draw, and follow an earlier item's prefix often.
    """
    rng = np.random.default_rng(seed)
    weights = rng.gamma(1.5, size=CODES)
    first = rng.choice(CODES, items, p=weights / weights.sum())
    second = (first * 7 + rng.geometric(1 / 45, items)) % CODES
    third, fourth = rng.integers(0, CODES, (2, items))
    popular = rng.random(items) < 0.25
    third[popular] = (first[popular] + second[popular]) % CODES
    return np.stack([first, second, third, fourth], axis=1).astype(np.int32)


def random_prompts(users: int, length: int, words: int) -> list[Int32]:
    """Token ids that share no prefix but by chance."""
    drawn = np.random.default_rng((SEED, users, length)).integers(4, words, (users, length))
    return list(drawn.astype(np.int32))

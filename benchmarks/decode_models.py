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
from semconv.llm.search import Scoring
from semconv.llm.trie import Trie

LEVELS, CODES = 4, 256
SEED = 29
SCORINGS: tuple[Scoring, ...] = ("full", "legal")
Shape = dict[str, int]
"""Arguments of `Qwen3Config`."""


def _shape(width: int, layers: int, feed_forward: int, heads: int, head_dim: int, vocabulary: int) -> Shape:
    """Two query heads share a key head."""
    return {
        "hidden_size": width,
        "num_hidden_layers": layers,
        "intermediate_size": feed_forward,
        "num_attention_heads": heads,
        "num_key_value_heads": heads // 2,
        "head_dim": head_dim,
        "vocab_size": vocabulary,
    }


CPU_SHAPES = {"demo": _shape(256, 6, 768, 4, 64, 8192), "40m": _shape(512, 12, 1536, 8, 64, 8192)}
"""6.8 and 42.0 million parameters."""
GPU_SHAPES = {
    "qwen3-0.6b": _shape(1024, 28, 3072, 16, 128, 151_936),
    "qwen3-1.7b": _shape(2048, 28, 6144, 16, 128, 151_936),
}
"""As published, vocabulary included."""


def device() -> torch.device:
    """The GPU where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def language_model(shape: Shape, dtype: torch.dtype) -> Any:
    """A Qwen3 of ``shape`` with random weights, on the GPU where there is one."""
    config = Qwen3Config(**shape, max_position_embeddings=4096, tie_word_embeddings=True)
    torch.manual_seed(SEED)
    model = AutoModelForCausalLM.from_config(config, dtype=dtype, attn_implementation="sdpa")
    return model.to(device()).eval()


def code_tokens(model: Any) -> torch.Tensor:
    """Token ids of the codes, int64 (L, C): the last of the vocabulary."""
    vocabulary = model.get_input_embeddings().num_embeddings
    return torch.arange(vocabulary - LEVELS * CODES, vocabulary).view(LEVELS, CODES)


def token_model(model: Any) -> CausalBeamModel:
    """Histories given to it are taken as prompts."""
    return CausalBeamModel(model, code_tokens(model), lambda prompt: prompt)


def compact_model(shape: Shape, codes_NL: Int32, dtype: torch.dtype) -> CompactModel:
    """A compact model on the backbone of `language_model`, over random text and behaviour vectors."""
    backbone = language_model(shape, dtype).base_model
    n_items = len(codes_NL)
    described = CompactShape(
        LEVELS, CODES, text_width=384, behaviour_width=128, depth_width=128, max_history=50, item_head=True
    )
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


def catalogue_trie(codes_NL: Int32) -> Trie:
    """The trie of a catalogue, on the GPU where there is one."""
    return Trie.build(codes_NL, CODES).to(device())


def read_index(path: Path) -> Int32:
    """Codes int32 (N, L) of a published index: columns ``code_0`` to ``code_3``."""
    with gzip.open(path, "rt") as stream:
        rows = [[int(row[f"code_{level}"]) for level in range(LEVELS)] for row in csv.DictReader(stream)]
    return np.array(rows, np.int32)


def synthetic_codes(items: int, seed: int = SEED) -> Int32:
    """Codes int32 (N, L) that, for Beauty's 12,101 items, branch about as its published index ``letter_native`` does.

    There 28% of the two-code prefixes hold more than one third code, and 2% of the three-code prefixes more than one
    fourth; here 26% and 2%. First codes are a skewed draw and second codes lie near a multiple of the first, so that
    items share two codes; a quarter of them take the third code that goes with those two, so that some share three.
    More items share more.
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

"""What the base model reads at once: histories that do not fit are refused before an example is written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import (
    GPT2Config,
    Llama4TextConfig,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedConfig,
    Qwen2Config,
    Qwen3Config,
)

from semconv.alignment.room import read_at_once
from semconv.errors import SettingError
from semconv.llm.load import UNBOUNDED, load_tokenizer, window_of
from semconv.llm.packed_causal import PackedCausal, TokenExample, pack_texts
from semconv.llm.packed_probe import require_apart
from semconv.training.align import Inputs, alignment
from tests.unit.alignment.full_shop import align, builder_of, write_full_shop
from tests.unit.training.tiny_inputs import BASE, LEVELS, tiny_align


@pytest.fixture
def inputs(tmp_path: Path) -> Inputs:
    return write_full_shop(tmp_path)


def with_window(inputs: Inputs, window: int) -> None:
    """Make of the base model one whose layer looks back so far."""
    path = inputs.base.path / "config.json"
    config = json.loads(path.read_text())
    config |= {"use_sliding_window": True, "sliding_window": window, "layer_types": ["sliding_attention"]}
    path.write_text(json.dumps(config))


@pytest.mark.parametrize(("spelling", "longest"), [("compact", BASE.context - 33), ("tokens", None)])
def test_histories_beyond_the_context_are_refused_before_examples_are_made(
    inputs: Inputs, spelling: str, longest: int | None
) -> None:
    tokenizer = load_tokenizer(inputs.base.path)
    if longest is None:
        words = len(tokenizer("Items so far, oldest first: ")["input_ids"])
        longest = (BASE.context - words) // LEVELS - 1
    assert read_at_once(inputs.base.path, align(spelling, max_history=longest), tokenizer, LEVELS) == BASE.context
    settings = align(spelling, max_history=longest + 1)
    for make in (builder_of, lambda *given: alignment(*given, seed=5)):
        with pytest.raises(SettingError, match=rf"reads 128 tokens and align\.max_history {longest + 1} asks for 1"):
            make(inputs, settings)


@pytest.mark.parametrize("spelling", ["compact", "tokens"])
def test_examples_stay_within_a_sliding_window_and_histories_that_do_not_are_refused(
    inputs: Inputs, spelling: str
) -> None:
    with_window(inputs, 70)
    builder = builder_of(inputs, align(spelling))
    rows = [builder.row(family, number) for family, size in builder.sizes.items() for number in range(min(size, 99))]
    lengths = [len(row.words) + len(row.items) for row in rows]
    assert max(lengths) <= 70
    if spelling == "tokens":
        assert max(lengths) > 70 - LEVELS
    with_window(inputs, 40)
    with pytest.raises(SettingError, match=r"looks back 40 tokens .* and align\.max_history 12 asks for"):
        builder_of(inputs, align(spelling))
    with pytest.raises(SettingError, match="looks back 40 tokens"):
        alignment(inputs, tiny_align(spelling=spelling), seed=5)


@pytest.mark.parametrize(
    ("config", "window"),
    [
        (Qwen3Config(), UNBOUNDED),
        (GPT2Config(), UNBOUNDED),
        (Qwen2Config(sliding_window=64, use_sliding_window=False), UNBOUNDED),
        (Qwen3Config(num_hidden_layers=2, use_sliding_window=True, sliding_window=64, max_window_layers=1), 64),
        (MistralConfig(sliding_window=32), 32),
        (MistralConfig(sliding_window=None), UNBOUNDED),
        (Llama4TextConfig(attention_chunk_size=48), 48),
    ],
)
def test_windows_are_found_by_the_layers_that_have_one(config: PreTrainedConfig, window: int) -> None:
    assert window_of(config) == window


def test_packed_texts_within_a_window_come_out_as_the_stock_model_has_them() -> None:
    torch.manual_seed(0)
    shape: dict[str, Any] = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2}
    heads: dict[str, Any] = {"num_attention_heads": 2, "num_key_value_heads": 1, "initializer_range": 0.3}
    model: Any = MistralForCausalLM(MistralConfig(**shape, **heads, vocab_size=50, sliding_window=12)).eval()
    wrapped = PackedCausal(model).eval()
    require_apart(wrapped)
    random = np.random.default_rng(0)
    apart = []
    for length in (12, 24):
        texts = [TokenExample(random.integers(50, size=length), np.ones(length, np.bool_)) for _ in range(3)]
        with torch.no_grad():
            alone = torch.cat([model(input_ids=torch.from_numpy(text.ids)[None]).logits[0, :-1] for text in texts])
            packed = wrapped.logits(wrapped.hidden(pack_texts(texts, 36)))
        apart.append(float((alone.sort(0).values - packed.sort(0).values).abs().max()))
    assert apart[0] < 1e-4 < apart[1]

"""Backbones under shared prompts: which ones are refused, and threads that share one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    Gemma2Config,
    Lfm2Config,
    MistralConfig,
    PreTrainedConfig,
    Qwen3Config,
)

from semconv.errors import ArtifactError, InputError
from semconv.llm.causal import CausalBeamModel
from semconv.llm.probe import require_same_states
from semconv.llm.search import beam_search
from semconv.llm.trie import Trie

SIZES = {
    "vocab_size": 60,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 8,
    "max_position_embeddings": 64,
}
TOKENS = torch.arange(30, 42).view(3, 4)


def language_model(config: PreTrainedConfig, attention: str = "sdpa") -> torch.nn.Module:
    torch.manual_seed(0)
    model: torch.nn.Module = AutoModelForCausalLM.from_config(config, attn_implementation=attention).eval()
    return model


def spoken(config: PreTrainedConfig) -> CausalBeamModel:
    return CausalBeamModel(language_model(config), TOKENS, lambda history: [1, *(int(item) + 2 for item in history)])


@pytest.mark.parametrize("layer", ["full_attention", "conv"])
def test_only_attention_lets_histories_share_a_row(layer: str) -> None:
    config = Lfm2Config(**SIZES, layer_types=["full_attention", layer], pad_token_id=0)
    backbone = language_model(config).base_model
    if layer == "full_attention":
        require_same_states(backbone)
    else:
        with pytest.raises(ArtifactError, match="does not score the same with shared prompts"):
            require_same_states(backbone)


def test_capped_logits_are_refused_before_training() -> None:
    with pytest.raises(ArtifactError, match="softcap"):
        require_same_states(language_model(Gemma2Config(**SIZES), "eager").base_model)


def test_a_backbone_is_left_as_it_was_found() -> None:
    backbone = language_model(Qwen3Config(**SIZES)).base_model.train()
    require_same_states(backbone)
    assert backbone.training
    assert backbone.config._attn_implementation == "sdpa"


@pytest.mark.parametrize("kind", ["dynamic", "longrope"])
def test_positions_that_turn_with_the_longest_prompt_are_refused(kind: str) -> None:
    scaling = {"rope_type": kind, "factor": 2.0, "rope_theta": 1e4}
    if kind == "longrope":
        scaling |= {"short_factor": [1.0] * 4, "long_factor": [2.0] * 4, "original_max_position_embeddings": 32}
    with pytest.raises(ArtifactError, match=f"rotary positions are {kind}"):
        spoken(Qwen3Config(**SIZES, rope_parameters=scaling))


def test_a_window_is_measured_in_positions_not_in_beams() -> None:
    codes = np.random.default_rng(0).integers(0, 4, (40, 3)).astype(np.int32)
    model, trie = spoken(MistralConfig(**SIZES, sliding_window=8)), Trie.build(codes, 4)
    histories = [np.arange(items, dtype=np.int32) for items in (0, 5)]
    assert (beam_search(model, trie, histories, 30, 40).items >= 0).sum() == 60
    with pytest.raises(InputError, match="looks back 8 tokens, a prompt and its answer take 9"):
        beam_search(model, trie, [np.arange(6, dtype=np.int32)], 5, 5)


def test_threads_share_a_model() -> None:
    codes = np.random.default_rng(0).integers(0, 4, (40, 3)).astype(np.int32)
    model, trie = spoken(Qwen3Config(**SIZES)), Trie.build(codes, 4)
    batches = [[np.arange(start, start + items, dtype=np.int32) for items in (1, 3, 6)] for start in range(8)]

    def found(batch: list[np.ndarray]) -> list[list[int]]:
        answers: list[list[int]] = beam_search(model, trie, batch, 10, 10).items.tolist()
        return answers

    wanted = [found(batch) for batch in batches]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(found, batches * 10)) == wanted * 10
    assert model._model.config._attn_implementation == "sdpa"

"""A training job small enough for a test: a tiny language model and random texts, the last ids standing for codes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import Qwen3Config, Qwen3ForCausalLM

from semconv.alignment.batches import Batches
from semconv.llm.packed_causal import PackedCausal, TokenExample, pack_texts
from semconv.training.job import EngineChoice, Job
from semconv.training.loop import Plan, Trained

VOCABULARY, CODES, COUNT, BATCH = 32, 8, 23, 6
ROWS = torch.arange(VOCABULARY - CODES, VOCABULARY)


class Texts:
    """Random texts of 2 to 12 tokens, all but the first learned."""

    def __init__(self, count: int = COUNT) -> None:
        random = np.random.default_rng(0)
        self.rows = [random.integers(VOCABULARY, size=random.integers(2, 13)) for _ in range(count)]

    def __len__(self) -> int:
        return len(self.rows)

    def example(self, epoch: int, number: int) -> TokenExample:
        return TokenExample(self.rows[number], np.ones(len(self.rows[number]), np.bool_))

    def size(self, epoch: int, number: int) -> tuple[int, int]:
        return len(self.rows[number]), len(self.rows[number]) - 1


def tiny_model(*, tied: bool = True, layers: int = 2) -> Any:
    torch.manual_seed(1)
    model: Any = Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=VOCABULARY,
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=layers,
            num_attention_heads=2,
            num_key_value_heads=2,
            head_dim=8,
            max_position_embeddings=64,
            tie_word_embeddings=tied,
        )
    )
    return model


def pack(examples: Any, scale: float) -> Any:
    return pack_texts(examples, 16, scale)


def portions(rank: int = 0, world: int = 1, accumulate: int = 1, batch: int = BATCH) -> Batches[TokenExample]:
    return Batches(Texts(), pack, batch_size=batch, seed=3, rank=rank, world=world, accumulate=accumulate)


def tiny_job(
    *, dropout: float = 0.1, epochs: int = 3, accumulate: int = 1, wrap: Any = None, warm_rows: int = 0, **engine: Any
) -> Job:
    """``wrap(wrapped)`` may change the model in place, as adapting it does."""

    def build() -> nn.Module:
        wrapped = PackedCausal(tiny_model(), dropout=dropout)
        if wrap is not None:
            wrap(wrapped)
        return wrapped

    return Job(
        build=build,
        batches=lambda rank, world: portions(rank, world, accumulate),
        batch_size=BATCH,
        plan=lambda steps: Plan(
            epochs=epochs,
            steps=steps,
            learning_rate=1e-2,
            warmup=0.1,
            seed=7,
            checkpoint_every=3,
            warm_rows=warm_rows,
        ),
        engine=EngineChoice("plain", "float32", weight_decay=0.1, accumulate=accumulate, **engine),
        export=_no_export,
    )


def _no_export(trained: Trained, folder: Path) -> None:
    raise AssertionError("these jobs end with their weights")


def same(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor], within: float = 0.0) -> bool:
    return one.keys() == two.keys() and all(torch.allclose(one[n], two[n], rtol=0, atol=within) for n in one)

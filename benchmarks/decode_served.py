"""Settings that published figures of serving engines are for, and our search at them.

Qwen3-1.7B with prompts of 1000 tokens, 256 beams and 3 levels is what NVIDIA gives H100 figures for, of its own engine,
without a constraint: 17.6 ms for one request, 86 requests a second in batches of 8.
"""

from __future__ import annotations

from statistics import median
from typing import Any, NamedTuple

import torch

from benchmarks.decode_models import (
    GPU_SHAPES,
    SCORINGS,
    Shape,
    catalogue_trie,
    code_tokens,
    language_model,
    random_prompts,
)
from benchmarks.laps import Timed, run_laps
from semconv.artifacts.ragged import Int32
from semconv.llm.causal import CausalBeamModel
from semconv.llm.search import Scoring, beam_search


class Served(NamedTuple):
    """A model of ``shape`` asked for the best ``beams`` items after prompts of so many tokens."""

    shape: Shape
    prompt: int
    beams: int
    levels: int
    batch: int


SERVED = {
    "qwen3-1.7b_batch_1": Served(GPU_SHAPES["qwen3-1.7b"], prompt=1000, beams=256, levels=3, batch=1),
    "qwen3-1.7b_batch_8": Served(GPU_SHAPES["qwen3-1.7b"], prompt=1000, beams=256, levels=3, batch=8),
    "qwen3-0.6b_batch_64": Served(GPU_SHAPES["qwen3-0.6b"], prompt=300, beams=50, levels=4, batch=64),
}


def served(setting: Served, codes_NL: Int32, rounds: int) -> dict[str, dict[str, float]]:
    """Milliseconds a batch and users a second in bf16, by scoring, over the first ``levels`` codes of the items."""
    model = language_model(setting.shape, torch.bfloat16)
    prompts = random_prompts(setting.batch, setting.prompt, int(code_tokens(model).min()))
    trie = catalogue_trie(codes_NL[:, : setting.levels])
    beam_model = CausalBeamModel(model, code_tokens(model)[: setting.levels], lambda prompt: prompt)

    def search(scoring: Scoring) -> Timed:
        return lambda: beam_search(beam_model, trie, prompts, setting.beams, setting.beams, scoring)

    timed: dict[str, Any] = {scoring: search(scoring) for scoring in SCORINGS}
    seconds = {name: median(laps) for name, laps in run_laps(timed, rounds).items()}
    return {name: {"ms": taken * 1e3, "users_per_s": setting.batch / taken} for name, taken in seconds.items()}

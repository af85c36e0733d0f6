"""What every rank holds under ZeRO, beside what the ZeRO paper says it holds.

python -m benchmarks.zero_memory --out FILE.json

A Qwen3 of 310 million parameters, in bf16, is trained for two steps of two parts each by the project's DeepSpeed engine
on ranks that are processes of this machine. Counted are the bytes of every tensor that is alive, each storage once,
between the parts of a step and after its last backward pass, when gradients lie beside weights and Adam's state, and
after the step. The formula is that of
Rajbhandari et al. 2020 (arXiv 1910.02054, section 5), for P parameters on N ranks, 2 bytes for a weight and for a
gradient and 12 for Adam's float32 originals and moments:

stage 1    4 P + 12 P / N
stage 2    2 P + 14 P / N
stage 3    16 P / N

``stages.<stage>``: ``gib``, the most that a rank holds with gradients; ``formula_gib``; ``over_formula``;
``after_step_gib``; ``seconds`` of the two steps. There is no stage 0 in bf16, see `semconv.training.deepspeed_engine`.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.decode_models import CPU_SHAPES, Shape, language_model
from benchmarks.harness import GIB, command
from semconv.llm.packed_causal import PackedCausal, TokenExample, pack_texts
from semconv.training.deepspeed_engine import DeepSpeedEngine

SHAPE: Shape = CPU_SHAPES["40m"] | {
    "hidden_size": 1024,
    "intermediate_size": 3072,
    "num_hidden_layers": 22,
    "num_attention_heads": 16,
    "num_key_value_heads": 8,
    "vocab_size": 32_768,
}
STAGES = (1, 2, 3)
BUCKET = 1_000_000
"""Elements that are reduced or gathered at a time: few, so that buffers do not hide what is to be seen."""
TOKENS, PARTS = 16, 2


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument("--ranks", type=int, default=2, help="processes that share the model")


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Every stage, each in processes of its own."""
    shape = CPU_SHAPES["demo"] if options.quick else SHAPE
    found = {str(stage): _measured(stage, options.ranks, shape) for stage in STAGES}
    parameters = found["1"].pop("parameters")
    for stage, figures in found.items():
        figures.pop("parameters", None)
        formula = per_rank(parameters, int(stage), options.ranks)
        figures |= {"formula_gib": formula / GIB, "over_formula": figures["gib"] * GIB / formula}
    return {"parameters": parameters, "ranks": options.ranks, "stages": found}


def per_rank(parameters: int, stage: int, ranks: int) -> float:
    """Bytes that a rank holds by the paper's formula, activations and buffers aside."""
    whole = {0: 16, 1: 4, 2: 2, 3: 0}[stage]
    return parameters * (whole + (16 - whole) / ranks)


def _measured(stage: int, ranks: int, shape: Shape) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        spread = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks)]
        job = ["-m", "benchmarks.zero_memory", folder, str(stage), json.dumps(shape)]
        subprocess.run([sys.executable, *spread, *job], check=True)
        held = [json.loads(file.read_text()) for file in sorted(Path(folder).glob("*.json"))]
    return {name: max(rank[name] for rank in held) for name in held[0]}


class CountedEngine(DeepSpeedEngine):
    """The project's engine; ``held`` is the most that lay in memory before a part or an update, in bytes."""

    held = 0

    def count(self) -> None:
        """Look once more."""
        self.held = max(self.held, tensor_bytes())

    def _update(self) -> torch.Tensor:
        self.count()
        return super()._update()


def rank_main(folder: str, stage: str, shape: str) -> None:
    """One rank: two steps, and what it holds, into ``folder``."""
    torch.set_num_threads(1)
    models: list[int] = []

    def build() -> PackedCausal:
        model = language_model(json.loads(shape), torch.float32)
        models.append(sum(weight.numel() for weight in model.parameters()))
        return PackedCausal(model)

    engine = CountedEngine(
        build, batch_size=PARTS, zero_stage=int(stage), precision="bf16", accumulate=PARTS, bucket=BUCKET
    )
    engine._engine.module.register_forward_pre_hook(lambda *_: engine.count())
    ids = np.arange(TOKENS, dtype=np.int64) + 7 * engine.rank
    batch = pack_texts([TokenExample(ids, np.ones(TOKENS, np.bool_))], TOKENS)
    began = time.perf_counter()
    for _ in range(2):
        engine.step(PARTS * [batch], 1e-4)
    figures = {
        "parameters": models[0],
        "gib": engine.held / GIB,
        "after_step_gib": tensor_bytes() / GIB,
        "seconds": time.perf_counter() - began,
    }
    (Path(folder) / f"{engine.rank}.json").write_text(json.dumps(figures))
    torch.distributed.destroy_process_group()


def tensor_bytes() -> int:
    """Bytes of all storages that a tensor known to Python, or its gradient, lies in."""
    gc.collect()
    storages: dict[int, int] = {}
    for found in gc.get_objects():
        if not issubclass(type(found), torch.Tensor):
            continue
        for tensor in (found, found.grad if found.is_leaf else None):
            if tensor is not None and tensor.layout == torch.strided:
                storage = tensor.untyped_storage()
                storages[storage.data_ptr()] = storage.nbytes()
    return sum(storages.values())


if __name__ == "__main__":
    if "RANK" in os.environ:
        rank_main(*sys.argv[1:])
    else:
        command("zero_memory", measure, arguments)

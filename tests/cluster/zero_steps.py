"""A few steps of a tiny model under DeepSpeed, in every way it may be spread; started by torchrun on several ranks.

python -m torch.distributed.run --nproc-per-node 2 -m tests.cluster.zero_steps OUT.safetensors
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import torch
from safetensors.torch import save_file

from semconv.config import AlignSettings
from semconv.llm.packed_causal import PackedCausal
from semconv.training.adapt import adapt
from semconv.training.deepspeed_engine import DeepSpeedEngine
from semconv.training.engine import Engine
from tests.unit.training.tiny_job import ROWS, portions, tiny_model

STEPS, WARM, PARTS = 4, 2, 3
KINDS = {
    "full": AlignSettings(spelling="tokens"),
    "lora": AlignSettings(spelling="tokens", method="lora"),
    "warm": AlignSettings(spelling="tokens", warm_rows=WARM),
}
WAYS: dict[str, dict[str, Any]] = {
    "0": {"zero_stage": 0},
    "1": {"zero_stage": 1},
    "2": {"zero_stage": 2},
    "3": {"zero_stage": 3},
    "1, optimizer offloaded": {"zero_stage": 1, "offload": "optimizer"},
    "2, optimizer offloaded": {"zero_stage": 2, "offload": "optimizer"},
    "3, parameters offloaded": {"zero_stage": 3, "offload": "parameters"},
}


def build(kind: str) -> Callable[[], PackedCausal]:
    def built() -> PackedCausal:
        wrapped = PackedCausal(tiny_model())
        adapt(wrapped, ROWS, KINDS[kind])
        return wrapped

    return built


def few_steps(engine: Engine, kind: str, parts: int) -> dict[str, torch.Tensor]:
    """Weights after `STEPS`, and the norms on the way."""
    batches = portions(engine.rank, engine.world, parts)
    warm = KINDS[kind].warm_rows
    norms = [engine.step(batches(0, step).parts, 1e-2, rows_alone=step < warm).norm for step in range(STEPS)]
    return engine.weights() | {"norms": torch.stack(norms).float()}


def main(out: str) -> None:
    torch.set_num_threads(1)
    found = {}
    for kind in KINDS:
        for way, settings in WAYS.items():
            engine = DeepSpeedEngine(
                build(kind), batch_size=3, precision="float32", weight_decay=0.1, accumulate=PARTS, **settings
            )
            for name, tensor in few_steps(engine, kind, PARTS).items():
                found[f"{kind}|{way}|{name}"] = tensor.contiguous()
    if torch.distributed.get_rank() == 0:
        save_file(found, out)
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1])

"""Where a training is, as its checkpoints say it."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from semconv.errors import ArtifactError
from semconv.training.engine import Engine

STATE, BEST = "state.json", "best.safetensors"


@dataclass
class Sums:
    """What the steps of an epoch have summed to so far, over all ranks: the losses are means over targets."""

    loss: float = 0.0
    norm: float = 0.0
    examples: int = 0
    targets: int = 0
    tokens: int = 0
    positions: int = 0


@dataclass
class Progress:
    """Steps done, sums of the epoch so far, curves, and the best validation."""

    step: int = 0
    sums: Sums = field(default_factory=Sums)
    curves: list[dict[str, float]] = field(default_factory=list)
    best: float = -math.inf
    stale: int = 0
    over: bool = False


def write_state(folder: Path, progress: Progress, best: dict[str, torch.Tensor], engine: Engine) -> None:
    """Write what a checkpoint holds besides the engine's part; ``best`` are the weights of the best validation."""
    state = asdict(progress) | {"best": progress.best if math.isfinite(progress.best) else None}
    state |= {"world": engine.world, "precision": engine.precision}
    (folder / STATE).write_text(json.dumps(state))
    if best:
        save_file({name: tensor.contiguous() for name, tensor in best.items()}, folder / BEST)


def read_state(folder: Path, engine: Engine) -> tuple[Progress, dict[str, torch.Tensor]]:
    """What `write_state` wrote. Raises `ArtifactError` where it was written by other workers than the engine's."""
    state = json.loads((folder / STATE).read_text())
    made_by, made_in = state.pop("world"), state.pop("precision", engine.precision)
    if made_by != engine.world:
        raise ArtifactError(
            f"The checkpoint in {folder} lies in {made_by} parts, one for each worker, and is opened by {engine.world}",
            f"Go on with {made_by} workers, or start afresh",
        )
    if made_in != engine.precision:
        raise ArtifactError(
            f"The checkpoint in {folder} was written by a training in {made_in}, and these workers compute in "
            f"{engine.precision}: a precision of auto is bf16 on GPUs and float32 elsewhere",
            "Go on with workers as those that wrote it, or start afresh",
        )
    state["sums"] = Sums(**state["sums"])
    if state["best"] is None:
        state["best"] = -math.inf
    best = load_file(folder / BEST) if (folder / BEST).exists() else {}
    return Progress(**state), best

"""Where a training is, as its checkpoints say it."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from semconv.errors import ArtifactError

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


def write_state(folder: Path, progress: Progress, best: dict[str, torch.Tensor], world: int) -> None:
    """Write what a checkpoint holds besides the engine's part; ``best`` are the weights of the best validation."""
    state = asdict(progress) | {"best": progress.best if math.isfinite(progress.best) else None, "world": world}
    (folder / STATE).write_text(json.dumps(state))
    if best:
        save_file({name: tensor.contiguous() for name, tensor in best.items()}, folder / BEST)


def read_state(folder: Path, world: int) -> tuple[Progress, dict[str, torch.Tensor]]:
    """What `write_state` wrote. Raises `ArtifactError` where it was written by another number of workers."""
    state = json.loads((folder / STATE).read_text())
    made_by = state.pop("world")
    if made_by != world:
        raise ArtifactError(
            f"The checkpoint in {folder} lies in {made_by} parts, one for each worker, and is opened by {world}",
            f"Go on with {made_by} workers, or start afresh",
        )
    state["sums"] = Sums(**state["sums"])
    if state["best"] is None:
        state["best"] = -math.inf
    best = load_file(folder / BEST) if (folder / BEST).exists() else {}
    return Progress(**state), best

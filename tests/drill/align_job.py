"""A training of alignment that is long enough to be killed, on two workers, and what it must have counted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
import yaml
from safetensors.torch import load_file

from semconv.artifacts import Run
from semconv.config import RaySettings, RunSettings, Settings
from semconv.training.record import POINTS
from tests.kill import has_checkpoint
from tests.unit.training.tiny_inputs import ring_walks, tiny_align, write_inputs

EPOCHS = 120
TARGETS = sum(len(walk) - 2 for walk in ring_walks())
"""Of one epoch."""


def align_job(root: Path, name: str) -> tuple[Run, list[str]]:
    """A run with all that align needs, and the command that aligns it."""
    write_inputs(root / name)
    align = tiny_align(
        engine="deepspeed",
        precision="bf16",
        zero_stage=2,
        workers=2,
        epochs=EPOCHS,
        validate_every=EPOCHS,
        batch_size=12,
        checkpoint_every=7,
        tasks={"textual": 0.0},
    )
    settings = Settings(run=RunSettings(root=str(root), name=name), ray=RaySettings(num_cpus=4, threads=1), align=align)
    chosen = settings.model_dump(mode="json", include={"run", "ray", "align"})
    (root / f"{name}.yaml").write_text(yaml.safe_dump(chosen))
    return Run(str(root), name), ["pipelines.align", "--config", str(root / f"{name}.yaml")]


def mid_epoch(run: Run) -> Callable[[], bool]:
    """Whether a checkpoint is kept and training has gone on."""
    points = run.path / "logs" / "align" / POINTS
    return lambda: has_checkpoint(run.private("align")) and points.exists() and points.read_text().count("\n") > 20


def assert_same_weights(run: Run, other: Run) -> None:
    """To the last bit."""
    one, two = (load_file(made.artifact("model") / "model.safetensors") for made in (run, other))
    assert one.keys() == two.keys()
    assert all(torch.equal(one[name], two[name]) for name in one)

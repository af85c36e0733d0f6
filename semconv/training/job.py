"""A piece of training work, complete but for the engine and the place where checkpoints go."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from semconv.alignment.batches import Batches
from semconv.precision import Chosen, precision_on
from semconv.progress import Report, silent
from semconv.training.activations import recompute_activations
from semconv.training.deepspeed_engine import DeepSpeedEngine
from semconv.training.engine import Engine
from semconv.training.liger import use_liger_kernels
from semconv.training.loop import Checkpoint, Plan, Trained, train
from semconv.training.plain import PlainEngine
from semconv.training.watch import Watch


@dataclass(frozen=True)
class EngineChoice:
    """Which engine computes the steps, and how.

    ``accumulate``: parts that a step is cut into at most, the same as the job's batches'; ``offload``: what DeepSpeed
    keeps in the CPU's memory.
    """

    kind: Literal["plain", "deepspeed"]
    precision: Chosen
    zero_stage: int = 0
    weight_decay: float = 0.0
    accumulate: int = 1
    gradient_checkpointing: bool = False
    liger: bool = False
    offload: Literal["none", "optimizer", "parameters"] = "none"


@dataclass(frozen=True)
class Job:
    """What to train, on what, how, and what becomes of it.

    ``build`` makes the same model at every call; ``batches(rank, world)`` one rank's batches; ``plan(steps)`` the
    course for that many steps an epoch; ``validate(model, rank, world)`` this rank's hits and users, float64 (2,);
    ``export(trained, folder)`` writes the finished model on rank 0.
    """

    build: Callable[[], nn.Module]
    batches: Callable[[int, int], Batches[Any]]
    batch_size: int
    plan: Callable[[int], Plan]
    engine: EngineChoice
    export: Callable[[Trained, Path], None]
    validate: Callable[[nn.Module, int, int], torch.Tensor] | None = None


def make_engine(job: Job, world: int = 1) -> Engine:
    """The engine a job asks for. Several ranks, or DeepSpeed, need a process group or the variables that make one."""
    choice = job.engine
    precision = precision_on("cuda" if torch.cuda.is_available() else "cpu", choice.precision)

    def build() -> nn.Module:
        model = job.build()
        if choice.liger:
            use_liger_kernels(model)
        if choice.gradient_checkpointing:
            recompute_activations(model)
        return model

    if choice.kind == "plain" and world == 1:
        return PlainEngine(build(), weight_decay=choice.weight_decay, precision=precision)
    return DeepSpeedEngine(
        build,
        batch_size=max(1, job.batch_size // world),
        zero_stage=choice.zero_stage,
        precision=precision,
        weight_decay=choice.weight_decay,
        accumulate=choice.accumulate,
        offload=choice.offload,
    )


def run_job(
    job: Job,
    engine: Engine,
    *,
    resume: Path | None = None,
    checkpoint: Checkpoint | None = None,
    report: Report = silent,
    watch: Watch | None = None,
) -> Trained:
    """Train a job on an engine; see `train`. Every epoch goes through each of its examples once."""
    batches = job.batches(engine.rank, engine.world)
    validate = job.validate
    return train(
        engine,
        batches,
        job.plan(batches.steps),
        validate=None if validate is None else lambda model: validate(model, engine.rank, engine.world),
        resume=resume,
        checkpoint=checkpoint,
        report=report,
        watch=watch,
        examples=len(batches),
    )

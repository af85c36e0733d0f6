"""The training loop: every model, every engine, resumable at any step.

Whatever a step depends on is a function of its number (batches, learning rate, the seed of dropout) or lies in the
checkpoint, so a run that was interrupted goes on exactly as it would have.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from semconv.errors import ResourceError
from semconv.progress import Report, silent
from semconv.training.engine import Engine
from semconv.training.optim import learning_rate_at

STATE, BEST = "state.json", "best.safetensors"
CHECK_EVERY = 20

Batches = Callable[[int, int], Any]
"""``batches(epoch, step)``: this rank's batch of a step."""
Validate = Callable[[nn.Module], torch.Tensor]
"""This rank's hits and users, float (2,); summed over ranks, hits over users is the value to maximise."""
Checkpoint = Callable[[Callable[[Path], None], int], None]
"""``checkpoint(write, step)``: call ``write(folder)`` on every rank and keep what it wrote."""


@dataclass(frozen=True)
class Plan:
    """How long to train and how; ``steps`` an epoch. ``validate_every`` in epochs, ``patience`` in validations."""

    epochs: int
    steps: int
    learning_rate: float
    warmup: float
    seed: int
    metric: str = "recall@10"
    validate_every: int = 1
    patience: int = 1
    checkpoint_every: int = 0


@dataclass
class Progress:
    """Where a run is: steps done, the epoch's loss so far, curves, and the best validation.

    ``loss`` sums the epoch's steps; up to the last checkpoint it is the mean over ranks, after it this rank's own.
    """

    step: int = 0
    loss: float = 0.0
    curves: list[dict[str, float]] = field(default_factory=list)
    best: float = -math.inf
    stale: int = 0
    over: bool = False


@dataclass(frozen=True)
class Trained:
    """The result: curves, and on rank 0 the weights of the best validation (the last ones where nothing validates)."""

    curves: list[dict[str, float]]
    weights: dict[str, torch.Tensor]


def train(
    engine: Engine,
    batches: Batches,
    plan: Plan,
    *,
    validate: Validate | None = None,
    resume: Path | None = None,
    checkpoint: Checkpoint | None = None,
    report: Report = silent,
) -> Trained:
    """Train to the end, or until ``plan.patience`` validations brought nothing better.

    ``resume`` is a folder that holds what every rank wrote at a checkpoint. Raises `ResourceError` when the loss
    stops being a number.
    """
    progress, best = Progress(), dict[str, torch.Tensor]()
    if resume is not None:
        engine.load(resume)
        progress, best = _read(resume)

    def write(folder: Path) -> None:
        engine.save(folder)
        if engine.rank == 0:
            _write(folder, progress, best)

    steps = plan.epochs * plan.steps
    pending: list[torch.Tensor] = []
    while progress.step < steps and not progress.over:
        epoch, place = divmod(progress.step, plan.steps)
        torch.manual_seed(hash((plan.seed, progress.step, engine.rank)))
        rate = learning_rate_at(progress.step, steps, peak=plan.learning_rate, warmup=plan.warmup)
        pending.append(engine.step(batches(epoch, place), rate))
        progress.step += 1
        ends_epoch = place + 1 == plan.steps
        due = bool(plan.checkpoint_every) and progress.step % plan.checkpoint_every == 0
        if len(pending) == CHECK_EVERY or ends_epoch or due:
            progress.loss += _sum(pending, progress.step)
            pending.clear()
            mean = progress.loss / (place + 1)
            report(progress.step, steps, f"epoch {epoch + 1}/{plan.epochs}, loss {mean:.3f}{_best(progress, plan)}")
        if ends_epoch:
            best = _end_epoch(engine, plan, progress, validate, best)
            due = due or (checkpoint is not None and progress.over)
        elif due:
            progress.loss = _mean(engine, progress.loss)
        if checkpoint is not None and (due or progress.step == steps):
            checkpoint(write, progress.step)
    weights = best if best or validate is not None else engine.weights()
    return Trained(progress.curves, weights)


def _end_epoch(
    engine: Engine, plan: Plan, progress: Progress, validate: Validate | None, best: dict[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    epoch = progress.step // plan.steps
    loss = _mean(engine, progress.loss / plan.steps)
    point = {"step": float(progress.step), "epoch": float(epoch), "loss": loss}
    progress.loss = 0.0
    if validate is not None and (epoch % plan.validate_every == 0 or epoch == plan.epochs):
        with engine.evaluating() as model:
            hits, users = engine.total(validate(model)).tolist()
        value = hits / max(1.0, users)
        point[plan.metric] = value
        if value > progress.best:
            progress.best, progress.stale = value, 0
            best = engine.weights()
        else:
            progress.stale += 1
            progress.over = progress.stale >= plan.patience
    progress.curves.append(point)
    return best


def _mean(engine: Engine, value: float) -> float:
    return float(engine.total(torch.tensor([value], dtype=torch.float64))) / engine.world


def _sum(pending: list[torch.Tensor], step: int) -> float:
    total = float(torch.stack(pending).double().sum())
    if not math.isfinite(total):
        raise ResourceError(
            f"The loss stopped being a number within the {len(pending)} steps before step {step}",
            "Lower the learning rate, or train in float32",
        )
    return total


def _best(progress: Progress, plan: Plan) -> str:
    return f", best {plan.metric} {progress.best:.4f}" if math.isfinite(progress.best) else ""


def _write(folder: Path, progress: Progress, best: dict[str, torch.Tensor]) -> None:
    state = asdict(progress) | {"best": progress.best if math.isfinite(progress.best) else None}
    (folder / STATE).write_text(json.dumps(state))
    if best:
        save_file({name: tensor.contiguous() for name, tensor in best.items()}, folder / BEST)


def _read(folder: Path) -> tuple[Progress, dict[str, torch.Tensor]]:
    state = json.loads((folder / STATE).read_text())
    if state["best"] is None:
        state["best"] = -math.inf
    best = load_file(folder / BEST) if (folder / BEST).exists() else {}
    return Progress(**state), best

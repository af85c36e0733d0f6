"""The training loop: every model, every engine, resumable at any step.

Whatever a step depends on is a function of its number (batches, learning rate, the seed of dropout) or lies in the
checkpoint, so a run that was interrupted goes on exactly as it would have. Losses and norms stay where they are
computed and are looked at every `CHECK_EVERY` steps, so that the loop does not wait for a GPU in between (DeepSpeed's
clipping does: it looks at the norm once a step).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from semconv.alignment.batches import Portion
from semconv.errors import ResourceError
from semconv.progress import Report, silent
from semconv.training.ahead import ReadAhead
from semconv.training.engine import Engine, Step
from semconv.training.meter import Meter
from semconv.training.optim import learning_rate_at
from semconv.training.state import Progress, Sums, read_state, write_state
from semconv.training.watch import Unwatched, Watch

CHECK_EVERY = 20

Batches = Callable[[int, int], Portion]
"""``batches(epoch, step)``: this rank's portion of a step. Called by another thread, a few steps ahead."""
Validate = Callable[[nn.Module], torch.Tensor]
"""This rank's hits and users, float (2,); summed over ranks, hits over users is the value to maximise."""
Checkpoint = Callable[[Callable[[Path], None], int], None]
"""``checkpoint(write, step)``: call ``write(folder)`` on every rank and keep what it wrote."""


@dataclass(frozen=True)
class Plan:
    """How long to train and how; ``steps`` an epoch. ``validate_every`` in epochs, ``patience`` in validations.

    In the first ``warm_rows`` steps nothing but the rows behind the model's gate is trained.
    """

    epochs: int
    steps: int
    learning_rate: float
    warmup: float
    seed: int
    metric: str = "recall@10"
    validate_every: int = 1
    patience: int = 1
    checkpoint_every: int = 0
    warm_rows: int = 0


@dataclass(frozen=True)
class Trained:
    """The result: curves, and on rank 0 the weights of the best validation (the last ones where nothing validates).

    A point of the curves is an epoch: ``loss`` and ``grad_norm`` (means of its steps), ``examples``, ``targets`` and
    ``tokens`` it went through, ``padding`` (share of the places), and the metric where there was a validation.
    """

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
    watch: Watch | None = None,
    examples: int | None = None,
) -> Trained:
    """Train to the end, or until ``plan.patience`` validations brought nothing better.

    ``resume`` is a folder that holds what every rank wrote at a checkpoint. ``examples`` is how many an epoch must
    have gone through when it ends. Raises `ResourceError` when loss or gradient stop being numbers, and `ArtifactError`
    for a checkpoint of another number of ranks, or of another precision.
    """
    watch = watch or Unwatched()
    progress, best = Progress(), dict[str, torch.Tensor]()
    if resume is not None:
        progress, best = read_state(resume, engine)
        engine.load(resume)
    watch.resumed(progress.step)

    def write(folder: Path) -> None:
        engine.save(folder)
        if engine.rank == 0:
            write_state(folder, progress, best, engine)

    steps = plan.epochs * plan.steps
    under_way = UnderWay(engine, watch)
    todo = range(progress.step, 0 if progress.over else steps)
    with ReadAhead(lambda step: _portion(batches, plan, step), todo) as ahead:
        under_way.meter.restart(0.0)
        while progress.step < steps and not progress.over:
            epoch, place = divmod(progress.step, plan.steps)
            portion = ahead.take()
            watch.began(progress.step + 1)
            torch.manual_seed(hash((plan.seed, progress.step, engine.rank)))
            rate = learning_rate_at(progress.step, steps, peak=plan.learning_rate, warmup=plan.warmup)
            under_way.add(engine.step(portion.parts, rate, rows_alone=progress.step < plan.warm_rows), portion)
            progress.step += 1
            ends_epoch = place + 1 == plan.steps
            due = bool(plan.checkpoint_every) and progress.step % plan.checkpoint_every == 0
            if len(under_way) == CHECK_EVERY or ends_epoch or due:
                under_way.settle(progress, rate, ahead.waited_s)
                mean = progress.sums.loss / (place + 1)
                report(progress.step, steps, f"epoch {epoch + 1}/{plan.epochs}, loss {mean:.3f}{_best(progress, plan)}")
            if ends_epoch:
                best = _end_epoch(engine, plan, progress, validate, best, examples)
                if plan.metric in progress.curves[-1]:
                    watch.point(progress.step, {plan.metric: progress.curves[-1][plan.metric]})
                due = due or (checkpoint is not None and progress.over)
            if checkpoint is not None and (due or progress.step == steps):
                checkpoint(write, progress.step)
            if ends_epoch or due:
                under_way.meter.restart(ahead.waited_s)
    weights = best if best or validate is not None else engine.weights()
    return Trained(progress.curves, weights)


class UnderWay:
    """Steps whose results nobody has looked at yet."""

    def __init__(self, engine: Engine, watch: Watch) -> None:
        self.meter = Meter()
        self._engine, self._watch = engine, watch
        self._steps: list[Step] = []
        self._counts = Sums()
        self._own_targets = 0

    def __len__(self) -> int:
        return len(self._steps)

    def add(self, step: Step, portion: Portion) -> None:
        """One more."""
        self._steps.append(step)
        self._counts.examples += portion.examples
        self._counts.targets += portion.all_targets
        self._counts.tokens += portion.tokens
        self._counts.positions += portion.positions
        self._own_targets += portion.targets
        self.meter.count(portion.tokens, portion.all_targets)

    def settle(self, progress: Progress, rate: float, waited_s: float) -> None:
        """Wait for them, add them to the epoch's sums, and tell who looks on; all ranks settle at the same steps.

        Raises `ResourceError` where one is not a number.
        """
        counts, sums, steps = self._counts, progress.sums, len(self._steps)
        losses, norms = (torch.stack([step[field] for step in self._steps]).double().sum() for field in (0, 1))
        own = torch.tensor([float(losses), counts.positions, self._own_targets], dtype=torch.float64)
        loss, positions, targets = self._engine.total(own).tolist()
        loss, norm = loss / self._engine.world, float(norms)
        if not math.isfinite(loss) or not math.isfinite(norm):
            what = "gradient" if math.isfinite(loss) else "loss"
            raise ResourceError(
                f"The {what} stopped being a number within the {steps} steps before step {progress.step}",
                "Lower the learning rate, or train in float32",
            )
        if round(targets) != counts.targets:
            raise RuntimeError(f"{counts.targets} targets were due before step {progress.step}, ranks had {targets}")
        sums.loss += loss
        sums.norm += norm
        sums.examples += counts.examples
        sums.targets += counts.targets
        sums.tokens += counts.tokens
        sums.positions += round(positions)
        point = {"loss": loss / steps, "grad_norm": norm / steps, "learning_rate": rate}
        point |= {"padding": 1 - counts.tokens / positions} | self.meter.read(waited_s)
        self._watch.point(progress.step, point)
        self._steps, self._counts, self._own_targets = [], Sums(), 0


def _portion(batches: Batches, plan: Plan, step: int) -> Portion:
    portion = batches(*divmod(step, plan.steps))
    return portion.pinned() if torch.cuda.is_available() else portion


def _end_epoch(
    engine: Engine,
    plan: Plan,
    progress: Progress,
    validate: Validate | None,
    best: dict[str, torch.Tensor],
    examples: int | None,
) -> dict[str, torch.Tensor]:
    epoch, sums = progress.step // plan.steps, progress.sums
    if examples is not None and sums.examples != examples:
        raise RuntimeError(f"Epoch {epoch} went through {sums.examples} of {examples} examples")
    point: dict[str, float] = {
        "step": progress.step,
        "epoch": epoch,
        "loss": sums.loss / plan.steps,
        "grad_norm": sums.norm / plan.steps,
        "examples": sums.examples,
        "targets": sums.targets,
        "tokens": sums.tokens,
        "padding": 1 - sums.tokens / max(1, sums.positions),
    }
    progress.sums = Sums()
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


def _best(progress: Progress, plan: Plan) -> str:
    return f", best {plan.metric} {progress.best:.4f}" if math.isfinite(progress.best) else ""

"""A build of align in which a worker dies, once, in the middle of an epoch. Workers import this module."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import ray.train

import pipelines.align
import pipelines.worker
from pipelines.stage import Work
from pipelines.train import fit
from semconv.training.engine import Engine, Step
from semconv.training.job import Job


def build_with_a_kill(work: Work, log: Path, kept: int, dies: int, max_failures: int) -> None:
    """Build as the stage does, but once, when step ``dies`` has begun, rank 0 is killed; checkpoints go to a log.

    It waits until the checkpoint at step ``kept``, the last before, is Ray's: Ray Train gathers reports now and then,
    and a worker that died before that would take its last one along.
    """
    settings = work.settings
    paths = {kind: str(artifact.path.absolute()) for kind, artifact in work.inputs.items()}
    out, logs = str(work.out("model").absolute()), (work.run.path / "logs" / "align").absolute()
    config = {"paths": paths, "settings": settings, "out": out, "logs": str(logs)}
    config |= {"log": str(log), "kept": kept, "dies": dies}
    workers = settings.align.workers
    fit(work, dying_loop, config, name="align", workers=workers, max_failures=max_failures, logs=logs)


def dying_loop(config: dict[str, Any]) -> None:
    report_checkpoint, make_engine = pipelines.worker.report_checkpoint, pipelines.worker.make_engine
    log, died = Path(config["log"]), Path(config["log"]).with_suffix(".died")
    if ray.train.get_context().get_world_rank() == 0:

        def checkpoint(write: Callable[[Path], None], step: int) -> None:
            with log.open("a") as stream:
                stream.write(f"{step}\n")
            report_checkpoint(write, step)
            if step == config["kept"] and not died.exists():
                ray.train.get_all_reported_checkpoints()

        def engine_of(job: Job, world: int = 1) -> Engine:
            engine = make_engine(job, world)
            compute, begun = engine.step, 0

            def step(parts: Sequence[Any], learning_rate: float, *, rows_alone: bool = False) -> Step:
                nonlocal begun
                begun += 1
                if begun == config["dies"] and not died.exists():
                    died.touch()
                    os.kill(os.getpid(), signal.SIGKILL)
                return compute(parts, learning_rate, rows_alone=rows_alone)

            engine.step = step  # type: ignore[method-assign]  # the real one, that dies at one step
            return engine

        pipelines.worker.report_checkpoint = checkpoint
        pipelines.worker.make_engine = engine_of
    pipelines.align.align_here(config)

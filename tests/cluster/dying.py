"""A build of align in which a worker dies, once, right after a checkpoint. Workers import this module."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ray.train

import pipelines.align
import pipelines.worker
from pipelines.stage import Work
from pipelines.train import fit


def build_with_a_kill(work: Work, log: Path, at: int, max_failures: int) -> None:
    """Build as the stage does, but once, when the checkpoint at step ``at`` is kept, rank 1 dies; steps go to a log.

    Ray Train gathers reports every two seconds; a worker that died before that would take its last one along.
    """
    settings = work.settings
    paths = {kind: str(artifact.path.absolute()) for kind, artifact in work.inputs.items()}
    out = str(work.out("model").absolute())
    config = {"paths": paths, "settings": settings, "out": out, "log": str(log), "at": at}
    fit(work, dying_loop, config, name="align", workers=2, max_failures=max_failures)


def dying_loop(config: dict[str, Any]) -> None:
    report_checkpoint = pipelines.worker.report_checkpoint
    log, died = Path(config["log"]), Path(config["log"]).with_suffix(".died")

    def checkpoint(write: Callable[[Path], None], step: int) -> None:
        rank = ray.train.get_context().get_world_rank()
        if rank == 0:
            with log.open("a") as stream:
                stream.write(f"{step}\n")
        report_checkpoint(write, step)
        if rank == 1 and step == config["at"] and not died.exists():
            ray.train.get_all_reported_checkpoints()
            died.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    pipelines.worker.report_checkpoint = checkpoint
    pipelines.align.align_here(config)

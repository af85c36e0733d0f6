"""What runs on a Ray Train worker: a training job, with checkpoints that every rank reports."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import ray.train
import torch
from ray.train import Checkpoint

from semconv.progress import Report, silent
from semconv.training.job import Job, make_engine, run_job
from semconv.training.loop import Trained
from semconv.training.watch import Watch


def work(job: Job, report: Report, threads: int, watch: Watch | None = None) -> tuple[Trained, int]:
    """Train ``job`` on this worker, from the last reported checkpoint if there is one; the result and the rank.

    What ``report`` and ``watch`` are told, they are told by rank 0.
    """
    torch.set_num_threads(threads)
    world = ray.train.get_context().get_world_size()
    engine = make_engine(job, world)
    told = (report, watch) if engine.rank == 0 else (silent, None)
    with ExitStack() as stack:
        earlier = ray.train.get_checkpoint()
        resume = None if earlier is None else Path(stack.enter_context(earlier.as_directory()))
        trained = run_job(job, engine, resume=resume, checkpoint=report_checkpoint, report=told[0], watch=told[1])
    return trained, engine.rank


def report_checkpoint(write: Callable[[Path], None], step: int) -> None:
    """Report what ``write`` puts into a folder as this rank's part of the checkpoint at ``step``; all ranks call it."""
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder))
        ray.train.report({"step": step}, checkpoint=Checkpoint.from_directory(folder))

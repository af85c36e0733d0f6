"""Ray Train, as every training stage uses it: workers, storage, restarts, and progress back to the driver."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import ray.train
from ray.train import CheckpointConfig, FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer

import semconv.errors
from pipelines.cluster import remote_report, require_cpus
from pipelines.stage import Work
from semconv.errors import SemconvError, SettingError
from semconv.progress import Report

REFUSED = "refused"
"""Folder, beside the checkpoints, of the errors that a loop raised for people to read."""


def fit(
    work: Work,
    loop: Callable[[dict[str, Any]], None],
    config: dict[str, Any],
    *,
    name: str,
    report: Report | None = None,
    workers: int = 1,
    gpu: bool = False,
    max_failures: int = 0,
    logs: Path | None = None,
) -> None:
    """Run ``loop(config)`` on ``workers`` processes; ``config["report"]`` reaches ``report``, else the stage's line.

    Checkpoints go to the run's private folder under a name that holds the stage's request and ``workers``: the same
    work started again goes on from its last checkpoint, other and forced work starts afresh. Removed when training ends
    well. The loop's rank 0 writes its result into a folder named in ``config``, and what people look at into ``logs``,
    which work that starts afresh finds empty; on several nodes run.root must be reachable from all.

    Raises `ResourceError` for more workers than CPUs, `SettingError` where a checkpoint of the same work lies in the
    parts of another number of workers, and whatever `SemconvError` the loop raised: it would come back at every try,
    so that only crashes are survived up to ``max_failures`` times.
    """
    require_cpus(f"{name}.workers", workers, spare=0)
    storage = work.run.private(name)
    if work.settings.run.force:
        shutil.rmtree(storage, ignore_errors=True)
    same_work = f"{name}-{work.request[:16]}-"
    attempt = f"{same_work}{workers}"
    for other in storage.glob("*"):
        if other.name.startswith(same_work) and other.name != attempt:
            _refuse_other_workers(other, name, workers)
        if other.name != attempt:
            shutil.rmtree(other)
    if logs is not None and not (storage / attempt).exists():
        shutil.rmtree(logs, ignore_errors=True)
    refused = (storage / REFUSED).absolute()
    with remote_report(report or work.line) as remote:
        trainer = TorchTrainer(
            partial(_unless_refused, loop=loop, refused=refused),
            train_loop_config={**config, "report": remote},
            scaling_config=ScalingConfig(num_workers=workers, use_gpu=gpu),
            torch_config=TorchConfig(backend="nccl" if gpu else "gloo"),
            run_config=RunConfig(
                name=attempt,
                storage_path=str(storage.absolute()),
                failure_config=FailureConfig(max_failures=max_failures),
                checkpoint_config=CheckpointConfig(num_to_keep=2),
            ),
        )
        try:
            trainer.fit()
        finally:
            _raise_refusal(refused)
    shutil.rmtree(storage, ignore_errors=True)


def _refuse_other_workers(other: Path, name: str, workers: int) -> None:
    """Raise where the attempt in ``other``, on another number of workers, has kept a checkpoint.

    Only once a checkpoint is whole does Ray Train's record of them name it.
    """
    record = other / "checkpoint_manager_snapshot.json"
    if record.exists() and "checkpoint_" in record.read_text():
        made_by = other.name.rpartition("-")[2]
        raise SettingError(
            f"This training was interrupted on {made_by} workers and {name}.workers is {workers}; its checkpoint lies "
            f"in {made_by} parts, one for each worker",
            f"Set --{name}.workers {made_by} to go on from it, or --run.force to throw it away and start afresh",
        )


def _unless_refused(config: dict[str, Any], loop: Callable[[dict[str, Any]], None], refused: Path) -> None:
    """Run the loop; what it refuses to do is written down for the driver, and a restart ends at once.

    A worker that has others beside it still raises: they may be waiting for it, and only a restart ends that.
    """
    if any(refused.glob("*.json")):
        return
    try:
        loop(config)
    except SemconvError as error:
        context = ray.train.get_context()
        refused.mkdir(parents=True, exist_ok=True)
        part = refused / f"{context.get_world_rank()}.part"
        part.write_text(json.dumps({"type": type(error).__name__, "problem": error.problem, "remedy": error.remedy}))
        part.rename(part.with_suffix(".json"))
        if context.get_world_size() > 1:
            raise


def _raise_refusal(refused: Path) -> None:
    for file in sorted(refused.glob("*.json")):
        told = json.loads(file.read_text())
        raise getattr(semconv.errors, told["type"])(told["problem"], told["remedy"])

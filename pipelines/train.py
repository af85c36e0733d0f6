"""Ray Train, as every training stage uses it: workers, storage, restarts, and progress back to the driver."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import ray.train
from ray.train import CheckpointConfig, FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer

import semconv.errors
from pipelines.cluster import remote_report
from pipelines.stage import Work
from semconv.artifacts.handover import discard
from semconv.artifacts.store_files import StoreFiles
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

    Checkpoints go to what the run keeps for every node (`Run.kept`), under a name that holds the stage's request and
    ``workers``: the same work started again goes on from its last checkpoint, other and forced work starts afresh.
    Removed when training ends well. The loop's rank 0 hands its result over to a folder named in ``config``; what
    people look at goes into ``logs``, which work that starts afresh finds empty.

    Raises `ResourceError` for more workers than CPUs, `SettingError` where a checkpoint of the same work lies in the
    parts of another number of workers, and whatever `SemconvError` the loop raised: it would come back at every try,
    so that only crashes are survived up to ``max_failures`` times.
    """
    if not gpu:  # a worker on a GPU claims that alone
        work.room.require_cpus(f"{name}.workers", workers, spare=0)
    storage = work.run.kept(name)
    if work.settings.run.force:
        storage.delete_folder("")
    same_work = f"{name}-{work.request[:16]}-"
    attempt = f"{same_work}{workers}"
    begun = storage.folders("")
    for other in begun:
        if other == attempt:
            continue
        if _has_checkpoint(storage.below(other)):
            if other.startswith(same_work):
                _refuse_other_workers(other, name, workers)
            work.line.say("an interrupted training with other settings or inputs is thrown away")
        storage.delete_folder(other)
    if logs is not None and attempt not in begun:
        discard(logs)
    refused = storage.below(REFUSED)
    with remote_report(report or work.line) as remote:
        trainer = TorchTrainer(
            partial(_unless_refused, loop=loop, refused=refused),
            train_loop_config={**config, "report": remote},
            scaling_config=ScalingConfig(num_workers=workers, use_gpu=gpu),
            torch_config=TorchConfig(backend="nccl" if gpu else "gloo"),
            run_config=RunConfig(
                name=attempt,
                storage_path=storage.path(),
                storage_filesystem=None if storage.local else storage.filesystem,
                failure_config=FailureConfig(max_failures=max_failures),
                checkpoint_config=CheckpointConfig(num_to_keep=2),
            ),
        )
        try:
            trainer.fit()
        finally:
            _raise_refusal(refused)
    storage.delete_folder("")


def _has_checkpoint(attempt: StoreFiles) -> bool:
    """Only once a checkpoint is whole does Ray Train's record of them name it."""
    return b"checkpoint_" in (attempt.read("checkpoint_manager_snapshot.json") or b"")


def _refuse_other_workers(attempt: str, name: str, workers: int) -> NoReturn:
    made_by = attempt.rpartition("-")[2]
    raise SettingError(
        f"This training was interrupted on {made_by} workers and {name}.workers is {workers}; its checkpoint lies "
        f"in {made_by} parts, one for each worker",
        f"Set --{name}.workers {made_by} to go on from it, or --run.force to throw it away and start afresh",
    )


def _unless_refused(config: dict[str, Any], loop: Callable[[dict[str, Any]], None], refused: StoreFiles) -> None:
    """Run the loop; what it refuses to do is written down for the driver, and a restart ends at once.

    A worker that has others beside it still raises: they may be waiting for it, and only a restart ends that.
    """
    if _refusals(refused):
        return
    try:
        loop(config)
    except SemconvError as error:
        context = ray.train.get_context()
        told = {"type": type(error).__name__, "problem": error.problem, "remedy": error.remedy}
        refused.write(f"{context.get_world_rank()}.json", json.dumps(told).encode())
        if context.get_world_size() > 1:
            raise


def _refusals(refused: StoreFiles) -> list[str]:
    return [name for name in refused.names() if name.endswith(".json")]


def _raise_refusal(refused: StoreFiles) -> None:
    for name in _refusals(refused):
        told = json.loads(refused.read(name) or b"")
        raise getattr(semconv.errors, told["type"])(told["problem"], told["remedy"])

"""Ray Train, as every training stage uses it: workers, storage, restarts, and progress back to the driver."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Any

from ray.train import CheckpointConfig, FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer

from pipelines.cluster import remote_report
from pipelines.stage import Work


def fit(
    work: Work,
    loop: Callable[[dict[str, Any]], None],
    config: dict[str, Any],
    *,
    name: str,
    workers: int = 1,
    gpu: bool = False,
    max_failures: int = 0,
) -> None:
    """Run ``loop(config)`` on ``workers`` processes; ``config["report"]`` is a `Report` that reaches the driver.

    Checkpoints go to the run's private folder under a name that holds the stage's request: the same work started
    again goes on from its last checkpoint, other work does not. Removed when training ends well. The loop's rank 0
    writes its result into a folder named in ``config``; on several nodes run.root must be reachable from all.
    """
    storage = work.run.private(name)
    attempt = f"{name}-{work.request[:16]}"
    for other in storage.glob("*"):
        if other.name != attempt:
            shutil.rmtree(other)
    with remote_report(work.line) as report:
        TorchTrainer(
            loop,
            train_loop_config={**config, "report": report},
            scaling_config=ScalingConfig(num_workers=workers, use_gpu=gpu),
            torch_config=TorchConfig(backend="nccl" if gpu else "gloo"),
            run_config=RunConfig(
                name=attempt,
                storage_path=str(storage.absolute()),
                failure_config=FailureConfig(max_failures=max_failures),
                checkpoint_config=CheckpointConfig(num_to_keep=2),
            ),
        ).fit()
    shutil.rmtree(storage, ignore_errors=True)

"""What Ray Train costs a training in its steady state, beside the same loop and engine in a process of its own.

Both train the same job on the same written examples with DeepSpeed, ZeRO 1, one worker, as many threads and the same
precision, and tell when each step began. They take turns, because a machine's speed drifts, and have the same
priority: Ray would start its workers as nice as 15, which on a machine with other work tells of that work and not of
Ray.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import nn

from benchmarks.decode_models import Shape, language_model
from benchmarks.training_users import Sequences, batches_of, training_sequences
from pipelines.cluster import environment
from pipelines.stage import Stage, Work, run_stages
from pipelines.train import fit
from pipelines.worker import work as train_here
from semconv.artifacts import AlignmentExamples
from semconv.config import RaySettings, RunSettings, Settings
from semconv.llm.packed_causal import PackedCausal
from semconv.precision import Precision
from semconv.training.job import EngineChoice, Job, make_engine, run_job
from semconv.training.loop import Plan, Trained
from semconv.training.watch import Unwatched

WARM = 10
ALIKE = {"RAY_worker_niceness": "0", "CUDA_VISIBLE_DEVICES": ""}
"""Ray's workers are as nice as any process, and both sides compute on the CPU."""


def ray_overhead(
    shape: Shape,
    source: Path | None,
    threads: int,
    precision: Precision,
    *,
    users: int = 32,
    steps: int = 60,
    rounds: int = 4,
) -> dict[str, Any]:
    """``ray_overhead``, the median of the rounds' ratios; ``ray_overhead_cpu``, the same of the training process's
    processor time, which other work on the machine changes less; ``seconds_per_step`` of both. ``users`` a step.
    Neither is given a GPU; which of the two goes first changes with every round.
    """
    taken = []
    with tempfile.TemporaryDirectory() as scratch, mock.patch.dict(os.environ, ALIKE):
        folder = Path(scratch)
        Sequences(training_sequences(users * steps, source), shape["vocab_size"]).write(folder / "examples")
        for number in range(rounds):
            config = {"examples": str(folder / "examples"), "shape": shape, "users": users}
            config |= {"threads": threads, "precision": precision}
            ways = [partial(_on_ray, folder=folder, number=number), _in_one_process]
            order = (0, 1) if number % 2 else (1, 0)
            found = {way: ways[way](config | {"out": str(folder / f"{way}-{number}.json")}) for way in order}
            taken.append((found[0], found[1]))
    overheads, steps_s = (
        [median(mine[which] / theirs[which] for mine, theirs in taken) for which in (0, 1)],
        [median(side[0] for side in sides) for sides in zip(*taken, strict=True)],
    )
    return {
        "ray_overhead": overheads[0],
        "ray_overhead_cpu": overheads[1],
        "seconds_per_step": {"ray": steps_s[0], "bare": steps_s[1]},
    }


class StepTimes(Unwatched):
    """A `Watch` that keeps when each step began, by the clock and in processor time of this process."""

    def __init__(self) -> None:
        self._began: list[tuple[float, float]] = []

    def began(self, step: int) -> None:  # noqa: ARG002  # `Watch`
        """See `Watch`."""
        self._began.append((time.perf_counter(), time.process_time()))

    def steady(self) -> list[float]:
        """Seconds and processor seconds a step, medians after the first `WARM`."""
        taken = np.diff(np.asarray(self._began[WARM:]), axis=0)
        return [float(seconds) for seconds in np.median(taken, axis=0)]


def job_of(config: dict[str, Any]) -> Job:
    """One epoch over the written examples."""

    def build() -> nn.Module:
        return PackedCausal(language_model(config["shape"], torch.float32))

    def export(trained: Trained, folder: Path) -> None:
        raise AssertionError(f"the {len(trained.weights)} weights do not go to {folder}: nothing here is kept")

    batches = batches_of(AlignmentExamples.open(config["examples"]), config["users"])
    return Job(
        build=build,
        batches=lambda _rank, _world: batches,
        batch_size=config["users"],
        plan=lambda steps: Plan(epochs=1, steps=steps, learning_rate=1e-4, warmup=0.05, seed=0),
        engine=EngineChoice("deepspeed", config["precision"], zero_stage=1),
        export=export,
    )


def _on_ray(config: dict[str, Any], folder: Path, number: int) -> list[float]:
    """Through the pipelines' own way of running a stage."""

    def build(work: Work) -> None:
        fit(work, steps_on_worker, config, name="training")

    stage = Stage(name="training", makes=("timing",), needs=(), reads=(), code=1, build=build)
    settings = Settings(
        run=RunSettings(root=str(folder / "runs"), name=f"run-{number}"), ray=RaySettings(threads=config["threads"])
    )
    run_stages(settings, [stage])
    return list(json.loads(Path(config["out"]).read_text()))


def steps_on_worker(config: dict[str, Any]) -> None:
    """The loop of a Ray Train worker."""
    times = StepTimes()
    train_here(job_of(config), config["report"], config["threads"], times)
    Path(config["out"]).write_text(json.dumps(times.steady()))


def _in_one_process(config: dict[str, Any]) -> list[float]:
    alone = {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0"}
    told = os.environ | environment(RaySettings(threads=config["threads"])) | alone
    subprocess.run([sys.executable, "-m", "benchmarks.training_cluster", json.dumps(config)], env=told, check=True)
    return list(json.loads(Path(config["out"]).read_text()))


def steps_in_one_process(config: dict[str, Any]) -> None:
    """The same steps with no Ray about."""
    torch.set_num_threads(config["threads"])
    times, job = StepTimes(), job_of(config)
    run_job(job, make_engine(job), watch=times)
    Path(config["out"]).write_text(json.dumps(times.steady()))
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    steps_in_one_process(json.loads(sys.argv[1]))

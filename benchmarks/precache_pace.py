"""How many users a second a precache job ranks, and the ranker alone on the very same batches.

Both have the same threads and the same priority: Ray would start its workers as nice as 15. The pace is that of the
second half of the units, when all processes have long started; what it takes to start is told beside it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import NamedTuple
from unittest import mock

import numpy as np
import pyarrow.parquet as pq
import torch

from benchmarks.harness import Results
from benchmarks.training_cluster import ALIKE
from pipelines.actors import Pool
from pipelines.cluster import cluster, environment, sharing_cores
from pipelines.precache import RankUnits
from pipelines.precache_units import Job, Unit
from semconv.artifacts import Corpus, Run
from semconv.artifacts.ragged import Int32, Ragged
from semconv.artifacts.store_files import StoreFiles
from semconv.config import Settings
from semconv.corpus.later import histories_of, read_later
from semconv.recommend.load import open_recommender
from semconv.recommend.ranker import Ranker

TRIED = 256
"""Users ranked to see how many a job of a given length has."""


class Pace(NamedTuple):
    """Users a second in the second half; seconds to the end of the first unit, and of all."""

    users_per_s: float
    first_s: float
    whole_s: float

    @classmethod
    def of(cls, users: Sequence[int], ended: Sequence[float]) -> Pace:
        """From the users of units and the seconds at which they ended, in that order; two units or more."""
        half = (len(users) - 1) // 2
        return cls(sum(users[half + 1 :]) / (ended[-1] - ended[half]), ended[0], ended[-1])


def pace_of(run: Run, settings: Settings) -> float:
    """Users a second of the ranker alone, roughly."""
    sequences = Corpus.open(run.artifact(Corpus.kind)).sequences
    histories = sequences.take(np.arange(TRIED) % len(sequences))
    with _alike(settings), _process() as process:
        return process.submit(_rank_tried, run, settings, histories).result()


def paces(run: Run, settings: Settings, events: Path, scratch: Path, rounds: int) -> Results:
    """``users_per_s`` of the job and its ``pipeline_efficiency``: over the ranker alone, before and after it."""
    known = histories_of(Corpus.open(run.artifact(Corpus.kind)), read_later(events))
    jobs = []
    with _alike(settings):
        alone = [_alone(run, settings, _job(known.items, settings, scratch / "alone"))]
        for number in range(rounds):
            jobs.append(_on_ray(run, settings, _job(known.items, settings, scratch / f"job-{number}")))
            alone.append(_alone(run, settings, scratch / "alone"))
    beside = [(before.users_per_s + after.users_per_s) / 2 for before, after in pairwise(alone)]
    return {
        "users_per_s": median(job.users_per_s for job in jobs),
        "pipeline_efficiency": median(job.users_per_s / bare for job, bare in zip(jobs, beside, strict=True)),
        "users": len(known.items),
        "threads": settings.ray.threads,
        "batch_size": settings.precache.batch_size,
        "job": _told(jobs),
        "alone": _told(alone),
    }


def _told(found: Sequence[Pace]) -> dict[str, float]:
    """Medians over the rounds."""
    return {name: median(getattr(pace, name) for pace in found) for name in Pace._fields}


def _job(histories: Ragged, settings: Settings, folder: Path) -> Path:
    Job(StoreFiles.open(str(folder))).divide(np.arange(len(histories)), histories, settings.precache.batch_size)
    return folder


def _on_ray(run: Run, settings: Settings, folder: Path) -> Pace:
    """The job as the pipeline runs it, by the times at which the answers of its units were written."""
    began = time.time()
    shared = sharing_cores(settings, settings.precache.workers)
    kwargs = {"run": run, "settings": shared, "opener": open_recommender}
    job = Job(StoreFiles.open(str(folder)))
    with cluster(settings.ray):
        job.rank(RankUnits, kwargs, Pool(settings.precache.workers), lambda _done, _total: None)
    files = sorted(folder.glob("tries/*/scored/*.parquet"), key=lambda file: file.stat().st_mtime_ns)
    users = [sum(map(len, pq.read_table(file, columns=["users"])["users"])) for file in files]
    return Pace.of(users, [file.stat().st_mtime - began for file in files])


def _alone(run: Run, settings: Settings, folder: Path) -> Pace:
    """The same units, one after another, in a process without Ray."""
    with _process() as process:
        return process.submit(_rank_units, run, settings, folder, time.time()).result()


def _rank_units(run: Run, settings: Settings, folder: Path, began: float) -> Pace:
    torch.set_num_threads(settings.ray.threads)
    ranker = open_recommender(run, settings.recommend)
    users, ended = [], []
    for file in sorted(folder.glob("units/*.parquet")):
        histories = Unit.of(pq.read_table(file)).histories
        for batch in _batches(histories, settings.precache.batch_size):
            _rank(ranker, settings, batch)
        users.append(len(histories))
        ended.append(time.time() - began)
    return Pace.of(users, ended)


def _rank_tried(run: Run, settings: Settings, histories: Ragged) -> float:
    torch.set_num_threads(settings.ray.threads)
    ranker = open_recommender(run, settings.recommend)
    first, *others = _batches(histories, TRIED // 8)
    _rank(ranker, settings, first)  # takes longer than the others
    began = time.perf_counter()
    for batch in others:
        _rank(ranker, settings, batch)
    return sum(map(len, others)) / (time.perf_counter() - began)


def _rank(ranker: Ranker, settings: Settings, batch: list[Int32]) -> None:
    ranker.rank(batch, settings.precache.kept, exclude=batch if settings.precache.filter_seen else None)


def _batches(histories: Ragged, size: int) -> Iterator[list[Int32]]:
    for start in range(0, len(histories), size):
        yield [histories[row] for row in range(start, min(start + size, len(histories)))]


@contextmanager
def _alike(settings: Settings) -> Iterator[None]:
    """The environment of both sides."""
    with mock.patch.dict(os.environ, ALIKE | environment(settings.ray)):
        yield


def _process() -> ProcessPoolExecutor:
    """A process that begins with the environment of now, and takes one task after another."""
    return ProcessPoolExecutor(1, get_context("spawn"))

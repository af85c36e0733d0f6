"""Trainings on several indexes, side by side in processes of one thread each."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch

from benchmarks.compact_training import Course, compact_gains, open_run
from semconv.evaluation.metrics import Float64
from semconv.tokens.index import CodeIndex


def gains_by_index(indexes: Sequence[CodeIndex], run: Path, course: Course, workers: int) -> dict[str, Float64]:
    """NDCG@10 by seed and validation user of each index, float64 (S, U), ``workers`` trainings at a time.

    A single worker is this process itself.
    """
    lessons = [(index, run, replace(course, seeds=(seed,))) for index in indexes for seed in course.seeds]
    if workers == 1:
        found = [_gains(*lesson) for lesson in lessons]
    else:
        single = {"mp_context": get_context("spawn"), "initializer": torch.set_num_threads, "initargs": (1,)}
        with ProcessPoolExecutor(workers, **single) as pool:
            found = list(pool.map(_gains, *zip(*lessons, strict=True)))
    many = len(course.seeds)
    return {index.name: np.concatenate(found[row * many : (row + 1) * many]) for row, index in enumerate(indexes)}


def _gains(index: CodeIndex, run: Path, course: Course) -> Float64:
    with tempfile.TemporaryDirectory() as folder:
        gains = compact_gains(index, open_run(run), course, Path(folder))
    print(f"{index.name}, seed {course.seeds[0]}: NDCG@10 {gains.mean():.5f}", flush=True)
    return gains

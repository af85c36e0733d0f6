"""Actors that rank: each on a GPU of its own where the cluster has any, else on CPUs."""

from __future__ import annotations

import json

import pytest

from pipelines.actors import Pool
from pipelines.room import Room
from semconv.errors import ResourceError
from tests.conftest import run_module


def test_each_actor_has_a_gpu_of_its_own_and_there_are_no_more_than_gpus() -> None:
    done = run_module("tests.cluster.gpu_job")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told == {"2": ["0", "1"], "3": ["0", "1"]}


def test_without_gpus_an_actor_takes_a_cpu_and_one_stays_free() -> None:
    assert Pool.of(Room(), "precache.workers", 3) == Pool(3, gpus=0)
    with pytest.raises(ResourceError, match="one must stay free"):
        Pool.of(Room(), "precache.workers", 4)

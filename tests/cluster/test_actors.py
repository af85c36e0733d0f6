"""Actors that rank: each on a GPU of its own where the cluster has any, so that they land on the nodes that do."""

from __future__ import annotations

import json

import pytest

from pipelines.actors import Pool
from semconv.errors import ResourceError
from tests.conftest import run_module


def test_each_actor_has_a_gpu_of_its_own_and_more_actors_than_gpus_are_refused() -> None:
    done = run_module("tests.cluster.gpu_job")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["two"] == ["0", "1"]
    assert told["none"] == [""]
    assert "precache.workers is 3 and the cluster has 2 GPUs" in told["three"]


def test_without_gpus_an_actor_takes_a_cpu_and_one_stays_free() -> None:
    assert Pool.of("precache.workers", 3) == Pool(3, gpus=False)
    with pytest.raises(ResourceError, match="one must stay free"):
        Pool.of("precache.workers", 4)

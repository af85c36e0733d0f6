"""Compute threads of workers: what is asked for, and on this machine no more than the cores that each has."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipelines.cluster import cores_here, environment, sharing_cores
from pipelines.room import Room
from semconv.config import RaySettings, Settings
from semconv.progress import silent


def threads_of(ray: RaySettings, workers: int) -> int:
    return sharing_cores(Settings(ray=ray), workers).ray.threads


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)


@pytest.mark.parametrize(("workers", "threads"), [(1, 4), (2, 4), (3, 2), (8, 1), (20, 1)])
def test_workers_on_this_machine_share_its_cores(workers: int, threads: int) -> None:
    assert threads_of(RaySettings(threads=4), workers) == threads
    assert threads_of(RaySettings(threads=1), workers) == 1


def test_a_cluster_that_is_joined_has_cores_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    assert threads_of(RaySettings(threads=4, address="10.0.0.1:6379"), 20) == 4
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    assert threads_of(RaySettings(threads=4), 20) == 4


@pytest.mark.parametrize(("quota", "cores"), [("max 100000", 8), ("250000 100000", 2), ("50000 100000", 1)])
def test_a_container_has_the_cores_of_its_quota(tmp_path: Path, quota: str, cores: int) -> None:
    assert cores_here(tmp_path) == 8
    (tmp_path / "cpu.max").write_text(quota + "\n")
    assert cores_here(tmp_path) == cores


def test_threads_sleep_where_others_may_want_their_core() -> None:
    here, joined = environment(RaySettings(threads=20)), environment(RaySettings(threads=20, address="10.0.0.1:6379"))
    assert (here["OMP_NUM_THREADS"], joined["OMP_NUM_THREADS"]) == ("8", "20")
    assert "OMP_WAIT_POLICY" not in here
    assert joined["OMP_WAIT_POLICY"] == "passive"


def test_nodes_are_waited_for_where_some_may_come() -> None:
    assert Room.of(RaySettings(wait_s=60), silent).wait_s == 0
    assert Room.of(RaySettings(wait_s=60, address="10.0.0.1:6379"), silent).wait_s == 60

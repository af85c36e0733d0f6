"""Compute threads of workers: what is asked for, and on this machine no more than the cores that each has."""

from __future__ import annotations

import os

import pytest

from pipelines.cluster import sharing_cores
from semconv.config import RaySettings, Settings


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

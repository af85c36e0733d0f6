"""One local cluster for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pipelines.cluster import cluster
from semconv.config import RaySettings


@pytest.fixture(scope="session", autouse=True)
def ray_cluster() -> Iterator[RaySettings]:
    """A cluster of four logical CPUs, shared by the session; stages run inside it without starting another."""
    settings = RaySettings(num_cpus=4, threads=1)
    with cluster(settings):
        yield settings

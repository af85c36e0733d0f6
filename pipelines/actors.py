"""Actors of Ray Data: how many there are, and what each of them holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import ray
from ray.data import ActorPoolStrategy

from pipelines.cluster import require_cpus
from semconv.errors import ResourceError


def gpus_for(setting: str, workers: int) -> bool:
    """Whether the cluster has GPUs for the workers that ``setting`` asks for; too few of them is a `ResourceError`."""
    gpus = _gpus()
    if 0 < gpus < workers:
        raise ResourceError(
            f"{setting} is {workers} and the cluster has {gpus} GPUs, one for each worker at most",
            f"Lower {setting} to {gpus}, or hide the GPUs with CUDA_VISIBLE_DEVICES= to train on CPUs",
        )
    return gpus > 0


def _gpus() -> int:
    return int(ray.cluster_resources().get("GPU", 0))


@dataclass(frozen=True)
class Pool:
    """``workers`` actors, each with a CPU. On a cluster with ``gpus`` each has one of its own.

    There are then as many actors as GPUs, and more of them, up to ``workers``, once more nodes have come.
    """

    workers: int
    gpus: int = 0

    @classmethod
    def of(cls, setting: str, workers: int) -> Self:
        """What ``setting`` asks for: on GPUs where the cluster has any, else on CPUs.

        Raises `ResourceError` for more workers to begin with than it has CPUs, one of which must stay free.
        """
        gpus = min(_gpus(), workers)
        require_cpus(setting, gpus or workers)
        return cls(workers, gpus)

    @property
    def arguments(self) -> dict[str, Any]:
        """For `ray.data.Dataset.map_batches`."""
        if self.gpus:
            growing = ActorPoolStrategy(min_size=self.gpus, max_size=self.workers)
            return {"compute": growing, "num_cpus": 1, "num_gpus": 1}
        return {"compute": ActorPoolStrategy(size=self.workers), "num_cpus": 1}

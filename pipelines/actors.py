"""Actors of Ray Data: how many there are, and what each of them holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from ray.data import ActorPoolStrategy

from pipelines.room import Room


@dataclass(frozen=True)
class Pool:
    """``workers`` actors, each with a CPU. On a cluster with ``gpus`` each has one of its own.

    There are then as many actors as GPUs, and more of them, up to ``workers``, once more nodes have come.
    """

    workers: int
    gpus: int = 0

    @classmethod
    def of(cls, room: Room, setting: str, workers: int) -> Self:
        """What ``setting`` asks for: on GPUs where the cluster has any, else on CPUs.

        Raises `ResourceError` for more workers to begin with than it has CPUs, one of which must stay free.
        """
        gpus = min(room.gpus, workers)
        room.require_cpus(setting, gpus or workers)
        return cls(workers, gpus)

    @property
    def arguments(self) -> dict[str, Any]:
        """For `ray.data.Dataset.map_batches`."""
        if self.gpus:
            growing = ActorPoolStrategy(min_size=self.gpus, max_size=self.workers)
            return {"compute": growing, "num_cpus": 1, "num_gpus": 1}
        return {"compute": ActorPoolStrategy(size=self.workers), "num_cpus": 1}

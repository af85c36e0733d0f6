"""CPUs and GPUs that a stage asks for: they are there, or come while it waits, or it is refused before it hangs."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Self

import ray
from ray.autoscaler.sdk import request_resources

from semconv.config import RaySettings
from semconv.errors import ResourceError
from semconv.progress import Report, silent

LOOK_S = 1.0


@dataclass(frozen=True)
class Room:
    """What the cluster has. Where that is too little its autoscaler is asked, and given ``wait_s`` seconds.

    ``report`` is told what is waited for. The cluster has one list of such requests, which Ray Data and Ray Train write
    anew whenever they like; so what is waited for is asked again at every look.
    """

    wait_s: float = 0.0
    report: Report = silent

    def require_cpus(self, setting: str, workers: int, spare: int = 1) -> None:
        """Raise `ResourceError` where work would wait for ever: ``workers`` of one CPU each, and ``spare`` beside them.

        Actors of Ray Data hold their CPUs until the end, so one must stay free for the reads that feed them.
        """
        cpus = self._grown("CPU", workers + spare)
        if workers + spare > cpus:
            free = ", of which one must stay free" if spare else ""
            raise ResourceError(
                f"{setting} is {workers} and the cluster has {cpus} CPUs{free}",
                f"Lower {setting}, or raise ray.num_cpus; a cluster that is joined needs more nodes, "
                "and ray.wait_s to wait for those that it starts by itself",
            )

    def gpus_for(self, setting: str, workers: int) -> bool:
        """Whether the cluster has GPUs, for all workers that ``setting`` asks for; too few are a `ResourceError`."""
        if not self.gpus:
            return False
        gpus = self._grown("GPU", workers)
        if gpus < workers:
            raise ResourceError(
                f"{setting} is {workers} and the cluster has {gpus} GPUs, one for each worker at most",
                f"Lower {setting} to {max(1, gpus)}, or hide the GPUs with CUDA_VISIBLE_DEVICES= to train on CPUs; "
                "where the cluster starts nodes by itself, give it time with ray.wait_s",
            )
        return True

    @classmethod
    def of(cls, settings: RaySettings, report: Report) -> Self:
        """What the settings say; a cluster started here cannot grow."""
        return cls(settings.wait_s if settings.joined else 0.0, report)

    @property
    def gpus(self) -> int:
        """GPUs that are there now."""
        return _count("GPU")

    def _grown(self, resource: str, wanted: int) -> int:
        """How many there are, once there are as many as wanted or time is up."""
        until = time.monotonic() + self.wait_s
        if (found := _count(resource)) >= wanted or not self.wait_s:
            return found
        try:
            while (found := _count(resource)) < wanted and time.monotonic() < until:
                request_resources(bundles=[{resource: 1}] * wanted)
                self.report(0, 0, f"waiting for {wanted} {resource}s, of which the cluster has {found}")
                time.sleep(LOOK_S)
        finally:
            request_resources(bundles=[])
        return found


def _count(resource: str) -> int:
    return int(ray.cluster_resources().get(resource, 0))

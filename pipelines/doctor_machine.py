"""Cores, memory, GPUs and the compiler of this machine, against what the settings ask for."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import psutil

from pipelines.cluster import CGROUP, cores_here, environment
from pipelines.doctor_versions import DRIVER
from semconv.config import Settings
from semconv.errors import ResourceError

GIB = 2**30
BASE_BYTES = 3 * GIB
"""What Ray, the driver and its object store take; ingesting ten million rows peaked at 2.6 GiB."""
WORKER_BYTES = GIB
"""What a worker that has imported torch takes, with a model of a few million parameters."""
SHARED_BYTES = GIB
PIECE = "deepspeed_shm_comm"


def cores(settings: Settings) -> str:
    """There are CPUs for every stage's workers; logical ones where the cluster is started here."""
    here = cores_here()
    if settings.ray.joined is not None:
        return f"{here} here; the workers' nodes are asked when a stage begins"
    for setting, (workers, spare) in workers_of(settings).items():
        if workers + spare > settings.ray.num_cpus:
            raise ResourceError(
                f"{setting} is {workers}, and a cluster started here has ray.num_cpus = {settings.ray.num_cpus}"
                + (", of which one must stay free" if spare else ""),
                f"Set ray.num_cpus to {workers + spare}, or lower {setting}",
            )
    return f"{here}, on which Ray counts {settings.ray.num_cpus} (ray.num_cpus)"


def memory(settings: Settings) -> str:
    """There is room for the workers of the widest stage."""
    workers = 1 if settings.ray.joined is not None else max(count for count, _ in workers_of(settings).values())
    needed = BASE_BYTES + workers * WORKER_BYTES
    free = available()
    if free < needed:
        raise ResourceError(
            f"{free / GIB:.1f} GiB are free, and {workers} workers need about {needed / GIB:.1f} GiB",
            "End what else runs here, raise the container's limit, or lower the settings named workers",
        )
    return f"{free / GIB:.1f} GiB free, about {needed / GIB:.1f} GiB needed"


def shared_memory(settings: Settings) -> str:  # noqa: ARG001 - all checks take the settings
    """Ray's object store lies there; containers have 64 MiB of it unless told otherwise."""
    total = shutil.disk_usage("/dev/shm").total
    if total < SHARED_BYTES:
        raise ResourceError(
            f"/dev/shm has {total / 2**20:.0f} MiB, and Ray's object store would go to the disk",
            "Start the container with --shm-size=4g, or mount an emptyDir of medium Memory there",
        )
    return f"{total / GIB:.1f} GiB"


def gpu(settings: Settings) -> str:
    """torch sees the GPUs that the driver has, and there is one for every training worker, or none at all."""
    import torch

    count = torch.cuda.device_count()
    if not count:
        if DRIVER.exists() and os.environ.get("CUDA_VISIBLE_DEVICES") != "":
            raise ResourceError(
                f"There is a GPU driver, and torch {torch.__version__} sees no GPU",
                "Install with constraints/gpu.txt; in a container, start it with the GPUs (--gpus all)",
            )
        return "none; training runs on CPUs"
    if settings.ray.joined is None:
        for setting in ("embed.workers", "base.workers", "align.workers"):
            workers, _ = workers_of(settings)[setting]
            if workers > count:
                raise ResourceError(
                    f"{setting} is {workers}, and there are {count} GPUs, one for each worker at most",
                    f"Lower {setting} to {count}, or hide the GPUs with CUDA_VISIBLE_DEVICES= to train on CPUs",
                )
    return f"{count} x {torch.cuda.get_device_name(0)}"


def compiler(settings: Settings) -> str:
    """DeepSpeed's compiled piece is there, or can be built; nobody left a lock that would be waited for, for ever."""
    if settings.align.engine != "deepspeed":
        return "not needed: align.engine is plain"
    folder = Path(environment(settings.ray)["TORCH_EXTENSIONS_DIR"]) / PIECE
    if (folder / "lock").exists():
        raise ResourceError(
            f"{folder}/lock says that DeepSpeed's piece is being built, and so it says if a build was killed",
            "If no build is running: python -m pipelines.prepare",
        )
    if not any(shutil.which(name) for name in ("c++", "g++")):
        raise ResourceError("There is no C++ compiler, which DeepSpeed asks for", "Install g++")
    if not (folder / f"{PIECE}.so").exists():
        raise ResourceError(f"DeepSpeed's compiled piece is not in {folder}", "Build it: python -m pipelines.prepare")
    return f"DeepSpeed's piece is built, in {folder}"


def workers_of(settings: Settings) -> dict[str, tuple[int, int]]:
    """By setting: how many workers of one CPU a stage asks for, and how many CPUs must stay free beside them."""
    return {
        "embed.text_workers": (settings.embed.text_workers, 1),
        "embed.workers": (settings.embed.workers, 0),
        "base.workers": (settings.base.workers, 0),
        "align.example_workers": (settings.align.example_workers, 1),
        "align.workers": (settings.align.workers, 0),
        "converge.workers": (settings.converge.workers, 1),
        "evaluate.workers": (settings.evaluate.workers, 1),
        "precache.workers": (settings.precache.workers, 1),
    }


def available(cgroup: Path = CGROUP) -> int:
    """Free memory in bytes: the machine's, or what is left of the container's limit, whichever is less."""
    free = int(psutil.virtual_memory().available)
    try:
        limit = (cgroup / "memory.max").read_text().strip()
        used = int((cgroup / "memory.current").read_text())
    except OSError:
        return free
    return free if limit == "max" else min(free, int(limit) - used)

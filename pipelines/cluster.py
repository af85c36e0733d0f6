"""Joining or starting a Ray cluster: quiet, authenticated, with explicit thread counts."""

from __future__ import annotations

import logging
import os
import secrets
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray

from pipelines.quiet import hushed, quieten
from semconv.config import RaySettings, Settings
from semconv.errors import ResourceError
from semconv.progress import Report

POLL_S = 0.5
CGROUP = Path("/sys/fs/cgroup")
HEALTH_CHECK_INTERVAL = "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S"
"""How often Ray Train looks at its workers. A report waits for the look after the one before it: 2 s by default."""


def environment(settings: RaySettings) -> dict[str, str]:
    """Environment of every worker: threads, DeepSpeed's compiled pieces, Ray's pace.

    Threads that wait keep their core where `sharing_cores` sees to it that each has one, and sleep elsewhere.
    """
    threads = str(settings.threads if settings.joined else min(settings.threads, cores_here()))
    asleep = {"OMP_WAIT_POLICY": "passive"} if settings.joined else {}
    return asleep | {
        "OMP_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
        "TOKENIZERS_PARALLELISM": "false",
        "TORCH_EXTENSIONS_DIR": os.environ.get("TORCH_EXTENSIONS_DIR", str(Path(sys.prefix) / "torch_extensions")),
        HEALTH_CHECK_INTERVAL: os.environ.get(HEALTH_CHECK_INTERVAL, "0.5"),
    }


def sharing_cores(settings: Settings, workers: int) -> Settings:
    """The settings with as many compute threads as each of ``workers`` processes should have.

    ``ray.threads``, but on a cluster started here no more than its share of this machine's cores: threads that wait
    for a core hold up those that have one. Nodes of a cluster that is joined may each have a worker.
    """
    if settings.ray.joined:
        return settings
    share = max(1, cores_here() // workers)
    ray_settings = settings.ray.model_copy(update={"threads": min(settings.ray.threads, share)})
    return settings.model_copy(update={"ray": ray_settings})


def cores_here(cgroup: Path = CGROUP) -> int:
    """Cores that this process may use: those of the machine that it is given, or as many as a container's quota."""
    given = len(os.sched_getaffinity(0))
    try:
        quota, period = (cgroup / "cpu.max").read_text().split()
    except OSError:
        return given
    return given if quota == "max" else max(1, min(given, int(quota) // int(period)))


def authenticate() -> None:
    """Give this process, and what it starts, a token that is never written to disk, unless it has one already.

    ``RAY_AUTH_MODE`` is left alone: `ray.init` turns token authentication on by itself for a cluster it starts, and
    setting the mode after ray was imported would come too late.
    """
    if "RAY_AUTH_TOKEN" not in os.environ and "RAY_AUTH_TOKEN_PATH" not in os.environ:
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)


@contextmanager
def cluster(settings: RaySettings, flags: Mapping[str, str] | None = None) -> Iterator[None]:
    """A connection to the cluster for the time of the block; a cluster started here ends with it.

    ``flags``: more of the environment of every process of a cluster started here; another has its own.
    """
    if ray.is_initialized():
        yield
        return
    address = settings.joined
    if not address:
        authenticate()
    own: dict[str, Any] = {"num_cpus": settings.num_cpus, "include_dashboard": False}
    inherited = environment(settings) | dict(flags or {})  # from the node, so that workers made in advance have it too
    if address:
        own, inherited = {"runtime_env": {"env_vars": environment(settings)}}, {}
    level = logging.INFO if settings.verbose else logging.ERROR
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    on_sigterm = signal.getsignal(signal.SIGTERM)
    try:
        with hushed(settings.verbose), changed_environment(inherited):
            ray.init(address=address or "local", log_to_driver=settings.verbose, logging_level=level, **own)
    except ConnectionError as error:
        raise ResourceError(
            f"No Ray cluster answers at {address}: {error}", "Start it, or leave ray.address unset"
        ) from None
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, on_sigterm)  # ray.init put one in its place that aborts the process
    quieten(settings.verbose)
    try:
        yield
    finally:
        ray.shutdown()


@contextmanager
def changed_environment(changes: Mapping[str, str]) -> Iterator[None]:
    """These variables in this process' environment for the time of the block, for what it starts."""
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@ray.remote(num_cpus=0)
class Board:
    """Where workers write how far they are, for the driver to read."""

    def __init__(self) -> None:
        self._latest: tuple[float, float, str] | None = None

    def write(self, done: float, total: float, note: str) -> None:
        """Keep the latest word."""
        self._latest = (done, total, note)

    def read(self) -> tuple[float, float, str] | None:
        """The latest word, if any."""
        return self._latest


@ray.remote(num_cpus=0)
class Claims:
    """Gives every piece of work to the first worker that wants it."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def take(self, name: str) -> bool:
        """Whether nobody has taken this yet; the caller has it now."""
        if name in self._taken:
            return False
        self._taken.add(name)
        return True


class RemoteReport:
    """A `Report` that a worker can be sent; what it says reaches the driver's line."""

    def __init__(self, board: Any) -> None:
        self._board = board

    def __call__(self, done: float, total: float, note: str = "") -> None:
        """Send the word on its way; does not wait."""
        self._board.write.remote(done, total, note)


@contextmanager
def remote_report(report: Report) -> Iterator[RemoteReport]:
    """A `RemoteReport` for workers, whose words are passed on to ``report`` for the time of the block."""
    board = Board.remote()
    over = threading.Event()

    def poll() -> None:
        while not over.wait(POLL_S):
            try:
                latest = ray.get(board.read.remote(), timeout=10 * POLL_S)
            except ray.exceptions.RayError:
                continue
            if latest is not None:
                report(*latest)

    thread = threading.Thread(target=poll, daemon=True)
    thread.start()
    try:
        yield RemoteReport(board)
    finally:
        over.set()
        thread.join()
        ray.kill(board)

"""A command killed with kill -9 once it has got to a given point, and everything it started with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO

import psutil

from benchmarks.shop import REPOSITORY
from semconv.errors import ResourceError

POLL_S = 0.02


def kill_when(arguments: list[str], reached: Callable[[], bool], log: Path) -> None:
    """Run ``python -m ARGUMENTS``, its standard error into ``log``, and kill it as soon as ``reached()`` holds.

    Raises `ResourceError` where it ends before.
    """
    with log.open("w") as stream, started(arguments, stream) as process:
        while not reached():
            try:
                process.wait(POLL_S)
            except subprocess.TimeoutExpired:
                continue
            raise ResourceError(
                f"{' '.join(arguments)} ended before it could be killed:\n{log.read_text()}", f"See {log}"
            )
        kill(process)


def started(arguments: list[str], errors: IO[str] | int) -> subprocess.Popen[str]:
    """``python -m ARGUMENTS`` in a session of its own, its standard error into a file or a pipe."""
    return subprocess.Popen(
        [sys.executable, "-m", *arguments],
        cwd=REPOSITORY,
        stdout=subprocess.DEVNULL,
        stderr=errors,
        text=True,
        start_new_session=True,
    )


def kill(process: subprocess.Popen[str]) -> None:
    """Kill a process and all below it, and wait until they are gone."""
    os.kill(process.pid, signal.SIGSTOP)  # or it would go on while its family is looked up
    family = psutil.Process(process.pid).children(recursive=True)
    os.kill(process.pid, signal.SIGKILL)
    for member in family:
        if member.is_running():
            member.kill()
    psutil.wait_procs(family, timeout=60)
    process.wait(60)

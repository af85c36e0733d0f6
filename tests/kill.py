"""A command killed with kill -9 once it has got to a given point, and everything it started with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.conftest import REPOSITORY

POLL_S = 0.02


def kill_at_line(arguments: list[str], reached: Callable[[str], bool]) -> None:
    """Run ``python -m ARGUMENTS``, and kill it at the first line of its standard error that is ``reached``."""
    with _started(arguments, subprocess.PIPE) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if reached(line):
                return _kill(process)
    pytest.fail(f"{' '.join(arguments)} ended, with status {process.returncode}, before it could be killed")


def kill_when(arguments: list[str], reached: Callable[[], bool], log: Path) -> None:
    """Run ``python -m ARGUMENTS``, its standard error into ``log``, and kill it as soon as ``reached()`` holds."""
    with log.open("w") as stream, _started(arguments, stream) as process:
        while not reached():
            try:
                process.wait(POLL_S)
            except subprocess.TimeoutExpired:
                continue
            pytest.fail(f"{' '.join(arguments)} ended before it could be killed:\n{log.read_text()}")
        _kill(process)


def has_checkpoint(private: Path) -> bool:
    """Whether a training has registered a checkpoint in its private folder ``private``.

    Ray Train names a checkpoint's folder after its time, and only once it is whole does its manager's record name it.
    """
    try:
        return any(b"checkpoint_" in r.read_bytes() for r in private.glob("*/checkpoint_manager_snapshot.json"))
    except FileNotFoundError:  # the training ended well, and its folder went, between the listing and the reading
        return False


def _started(arguments: list[str], errors: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", *arguments],
        cwd=REPOSITORY,
        stdout=subprocess.DEVNULL,
        stderr=errors,  # type: ignore[call-overload]  # a file or a pipe
        text=True,
        start_new_session=True,
    )


def _kill(process: subprocess.Popen[str]) -> None:
    os.kill(process.pid, signal.SIGSTOP)  # or it would go on while its family is looked up
    family = psutil.Process(process.pid).children(recursive=True)
    os.kill(process.pid, signal.SIGKILL)
    for member in family:
        if member.is_running():
            member.kill()
    psutil.wait_procs(family, timeout=60)
    process.wait(60)

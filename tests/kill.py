"""A command killed with kill -9 once it has got to a given point, and everything it started with it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.killing import POLL_S, kill, kill_when, started

__all__ = ["POLL_S", "has_checkpoint", "kill_at_line", "kill_when"]


def kill_at_line(arguments: list[str], reached: Callable[[str], bool]) -> None:
    """Run ``python -m ARGUMENTS``, and kill it at the first line of its standard error that is ``reached``."""
    with started(arguments, subprocess.PIPE) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if reached(line):
                return kill(process)
    pytest.fail(f"{' '.join(arguments)} ended, with status {process.returncode}, before it could be killed")


def has_checkpoint(private: Path) -> bool:
    """Whether a training has registered a checkpoint in its private folder ``private``.

    Ray Train names a checkpoint's folder after its time, and only once it is whole does its manager's record name it.
    """
    try:
        return any(b"checkpoint_" in r.read_bytes() for r in private.glob("*/checkpoint_manager_snapshot.json"))
    except FileNotFoundError:  # the training ended well, and its folder went, between the listing and the reading
        return False

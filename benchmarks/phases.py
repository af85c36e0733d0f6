"""Seconds and peak memory of a command, whole or in phases that are told apart from outside."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from benchmarks.harness import PeakMemory

LOOK_S = 0.2


class Phase(NamedTuple):
    """How long it took, and the most memory that the command and all below it had meanwhile, see `PeakMemory`."""

    seconds: float
    peak_gib: float

    def then(self, later: Phase) -> Phase:
        """This phase and the one after it as one."""
        return Phase(self.seconds + later.seconds, max(self.peak_gib, later.peak_gib))


def timed(command: Sequence[str]) -> Phase:
    """A command from its start to its exit; raises `subprocess.CalledProcessError` when it fails."""
    return phases(command, ())[0]


def phases(command: Sequence[str], marks: Sequence[Callable[[], bool]]) -> list[Phase]:
    """The phases of a command, one more than ``marks``: each ends once its mark, looked for all along, is there.

    Raises `subprocess.CalledProcessError` when the command fails, `RuntimeError` when it ends without one of the marks.
    """
    found: list[Phase] = []
    with subprocess.Popen(command) as process:
        for mark in (*marks, _never):
            began = time.perf_counter()
            with PeakMemory(process.pid) as memory:
                _wait(process, mark)
            found.append(Phase(time.perf_counter() - began, memory.peak_gib))
            if process.returncode is not None:
                break
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    if len(found) <= len(marks):
        raise RuntimeError(f"{' '.join(command)} ended in phase {len(found)} of {len(marks) + 1}")
    return found


def _wait(process: subprocess.Popen[bytes], mark: Callable[[], bool]) -> None:
    """Until the process ends or the mark is there."""
    while not mark():
        try:
            process.wait(LOOK_S)
        except subprocess.TimeoutExpired:
            continue
        return


def _never() -> bool:
    return False

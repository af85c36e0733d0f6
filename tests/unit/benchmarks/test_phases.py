"""A command in phases: each is over when its mark is there, and a command that fails or skips one is told of."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.phases import Phase, phases, timed

HELD_GIB = 0.25
PROGRAM = f"""
import sys, time
held = bytearray(int({HELD_GIB} * 2**30))
time.sleep(0.5)
open(sys.argv[1], "w").close()
del held
time.sleep(1.0)
"""


def test_a_phase_ends_with_its_mark_and_has_its_own_peak(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    first, second = phases([sys.executable, "-c", PROGRAM, str(mark)], [mark.exists])
    assert first.peak_gib > HELD_GIB > second.peak_gib > 0
    assert min(first.seconds, second.seconds) > 0.4
    assert first.then(second) == Phase(first.seconds + second.seconds, first.peak_gib)


def test_a_command_that_fails_or_lacks_a_mark_is_told_of() -> None:
    assert timed([sys.executable, "-c", ""]).seconds > 0
    with pytest.raises(subprocess.CalledProcessError):
        timed([sys.executable, "-c", "raise SystemExit(3)"])
    with pytest.raises(RuntimeError, match="ended in phase 1 of 2"):
        phases([sys.executable, "-c", ""], [lambda: False])

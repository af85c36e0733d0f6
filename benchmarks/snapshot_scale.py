"""A snapshot of many users: how long it takes to build, how much memory, and how quickly a user is found in it.

python -m benchmarks.snapshot_scale --out FILE.json [--users 10000000] [--folder DIR]

    build_s         seconds to write, sort, checksum and publish rankings of 50 items a user that are there already
    peak_gib        peak memory of the building process, pages of mapped files included
    lookup_p99_us   of single look-ups of known users drawn at random, in process, after 50,000 others
    open_s          opening it, page cache cold or warm as it happens to be; ``gib``: its size
    readers         memory of two processes that have looked users up: ``resident_gib`` counts a page for each that
                    maps it, ``shared_once_gib`` once (proportional set size), ``private_gib`` is one's own (the larger)

What is built are the rankings' rows alone, by the writer that the precache stage uses: the stage holds the ids, the
histories and 16 bytes of stamp of all users besides. Every step runs in a process of its own. The disk needs twice
``gib`` for a while.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import psutil

from benchmarks.harness import GIB, PeakMemory, Results, command

USERS, QUICK_USERS = 10_000_000, 200_000
READERS = 2


def scale(users: int, folder: Path | None = None) -> Results:
    """Build a snapshot of ``users`` in a temporary folder, inside ``folder`` where one is given, and look users up."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        snapshot = str(Path(place) / "topk")
        built, peak_gib = _step("build", snapshot, "--users", str(users))
        found, _ = _step("lookup", snapshot)
        readers = shared(snapshot)
    return {**built, "peak_gib": peak_gib, **found, "readers": readers}


def shared(snapshot: str) -> Results:
    """Memory of `READERS` processes that have all looked users up in the same folder."""
    program = [sys.executable, "-m", "benchmarks.generated_snapshot", "hold", snapshot]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with ExitStack() as stack:
        # mypy cannot tell the options in a dictionary apart
        readers = [stack.enter_context(subprocess.Popen(program, text=True, **pipes)) for _ in range(READERS)]  # type: ignore[call-overload]
        for reader in readers:
            if not reader.stdout.readline():
                raise subprocess.CalledProcessError(reader.wait(), program)
        memory = [psutil.Process(reader.pid).memory_full_info() for reader in readers]
        for reader in readers:
            reader.stdin.close()
    return {
        "processes": READERS,
        "resident_gib": sum(one.rss for one in memory) / GIB,
        "shared_once_gib": sum(one.pss for one in memory) / GIB,
        "private_gib": max(one.uss for one in memory) / GIB,
    }


def _step(*arguments: str) -> tuple[Results, float]:
    """What a step tells, and the peak memory of its process in GiB."""
    program = [sys.executable, "-m", "benchmarks.generated_snapshot", *arguments]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as process, PeakMemory(process.pid) as memory:
        told, _ = process.communicate()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, program)
    return dict(json.loads(told)), memory.peak_gib


def measure(options: argparse.Namespace) -> Results:
    """All of it, at the size that is asked for."""
    return scale(options.users or (QUICK_USERS if options.quick else USERS), options.folder)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of its own."""
    parser.add_argument("--users", type=int, help=f"users ({USERS}, quick {QUICK_USERS})")
    parser.add_argument("--folder", type=Path, help="where the temporary folder is made")


if __name__ == "__main__":
    command("snapshot_scale", measure, arguments)

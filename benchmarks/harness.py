"""What all benchmarks share: the command line, the machine's description, peak memory, the printed table.

    python -m benchmarks.NAME --out FILE.json [--quick]

writes ``{machine, versions, settings, results}``, prints a table and exits 0, or exits non-zero and writes nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn

import numpy as np
import psutil
import torch

from semconv.artifacts.manifest import library_versions
from semconv.command import CommandParser, status_of

GIB = 2**30
SAMPLE_S = 0.2

Results = dict[str, Any]


def command(
    name: str,
    measure: Callable[[argparse.Namespace], Results],
    arguments: Callable[[argparse.ArgumentParser], None] = lambda _parser: None,
) -> NoReturn:
    """Run ``measure`` as ``python -m benchmarks.<name>`` and write what it returns to ``--out``.

    ``arguments`` may add options of its own; ``measure`` is given them all, ``quick`` among them. Exits as `status_of`
    says.
    """
    raise SystemExit(status_of(lambda: measured(name, measure, arguments), f"benchmarks.{name}"))


def measured(
    name: str, measure: Callable[[argparse.Namespace], Results], arguments: Callable[[argparse.ArgumentParser], None]
) -> None:
    """See `command`; raises what ``measure`` does."""
    parser = CommandParser(prog=f"python -m benchmarks.{name}")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.json", help="where the results go")
    parser.add_argument("--quick", action="store_true", help="smaller sizes, for a first look")
    arguments(parser)
    options = parser.parse_args()
    results = measure(options)
    settings = {key: value for key, value in vars(options).items() if key != "out" and value is not None}
    content = {"machine": machine(), "versions": library_versions(), "settings": settings, "results": results}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(content, indent=2, default=str) + "\n")
    print(table(["result", "value"], flat(results)))


def machine() -> dict[str, Any]:
    """The machine: processor, cores that may be used, memory, accelerators, kernel. Names no host."""
    gpus = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(psutil.virtual_memory().total / GIB, 1),
        "accelerators": gpus,
        "system": f"{platform.system()} {platform.release()}",
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


class PeakMemory:
    """Peak memory of a process and all below it, sampled while the block runs.

    Counted is the proportional set size (PSS): private pages, and of each shared page the share of one of those that
    map it, so that Ray's object store and shared libraries count once. ``peak_gib`` holds the highest sum seen;
    ``samples`` how often it was looked at.
    """

    def __init__(self, pid: int | None = None) -> None:
        self._process = psutil.Process(pid)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.peak_gib = 0.0
        self.samples = 0

    def __enter__(self) -> PeakMemory:
        self._look()
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(SAMPLE_S):
            self._look()

    def _look(self) -> None:
        try:
            processes = [self._process, *self._process.children(recursive=True)]
        except psutil.NoSuchProcess:
            return
        self.peak_gib = max(self.peak_gib, sum(_pss(process) for process in processes) / GIB)
        self.samples += 1


def _pss(process: psutil.Process) -> int:
    """Bytes; 0 for a process that has just ended."""
    try:
        return int(process.memory_full_info().pss)
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return 0


def growth(sizes: Sequence[float], seconds: Sequence[float]) -> float:
    """The exponent b of seconds = a * size ** b, by least squares on logarithms."""
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Rows under a header, in columns: numbers to three significant decimals, aligned right."""
    cells = [list(map(str, header))] + [[_shown(value) for value in row] for row in rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]

    def line(row: Sequence[str], values: Sequence[Any]) -> str:
        padded = (
            text.rjust(width) if isinstance(value, (int, float)) else text.ljust(width)
            for text, value, width in zip(row, values, widths, strict=True)
        )
        return "  ".join(padded).rstrip()

    ruler = "  ".join("-" * width for width in widths)
    return "\n".join([line(cells[0], header), ruler, *(line(c, r) for c, r in zip(cells[1:], rows, strict=True))])


def flat(results: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Nested results as (dotted name, value) rows."""
    rows: list[tuple[str, Any]] = []
    for name, value in results.items():
        if isinstance(value, Mapping):
            rows += flat(value, f"{prefix}{name}.")
        else:
            rows.append((f"{prefix}{name}", value))
    return rows


def _shown(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:,.3f}"

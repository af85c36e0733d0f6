"""What a training leaves behind for people, in a folder of its own: points of its curves, and what was done twice.

    training.jsonl   a line a point: {"step", "loss", "grad_norm", "tokens_per_s", "waiting", ...}; where training went
                     on from a checkpoint: {"step", "redone": steps after it that had been begun and are done again}
    reached          number of the last step that was begun

Nothing here is part of the model: speeds differ from run to run, and weights do not.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from semconv.training.tracking import Curves, Tracking, open_curves

POINTS, REACHED = "training.jsonl", "reached"
_BYTES = 8


class Record:
    """A `Watch` that writes; touches the folder only once training begins. For use in a ``with`` block."""

    def __init__(self, folder: Path, tracking: Tracking, name: str) -> None:
        """``name`` is what the curves are called where several trainings are looked at together."""
        self._folder, self._tracking, self._name = folder, tracking, name
        self._points: TextIO | None = None
        self._curves: Curves | None = None
        self._reached = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._points is not None:
            self._points.close()
            os.close(self._reached)
        if self._curves is not None:
            self._curves.close()

    def resumed(self, step: int) -> None:
        """See `Watch`."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._points = (self._folder / POINTS).open("a", buffering=1)
        self._reached = os.open(self._folder / REACHED, os.O_RDWR | os.O_CREAT, 0o644)
        reached = int.from_bytes(os.pread(self._reached, _BYTES, 0), "little")
        if reached > step:
            self._line({"step": step, "redone": reached - step})
        self._curves = open_curves(self._tracking, self._folder, self._name, step)

    def began(self, step: int) -> None:
        """See `Watch`; a step counts as begun even if the process is killed at once."""
        os.pwrite(self._reached, step.to_bytes(_BYTES, "little"), 0)

    def point(self, step: int, values: Mapping[str, float]) -> None:
        """See `Watch`."""
        self._line({"step": step, **values})
        if self._curves is not None:
            self._curves.add(step, values)

    def _line(self, values: Mapping[str, float]) -> None:
        if self._points is not None:
            self._points.write(json.dumps(values) + "\n")


def redone_steps(folder: Path) -> int:
    """Steps that were done more than once, in all, by the record in ``folder``."""
    lines = (folder / POINTS).read_text().splitlines()
    return sum(int(json.loads(line).get("redone", 0)) for line in lines)

"""What a training leaves behind for people, in a folder of its own: points of its curves, and what was done twice.

    training.jsonl   a line a point: {"step", "loss", "grad_norm", "tokens_per_s", "waiting", ...}; where training went
                     on from a checkpoint: {"step", "redone": steps after it that had been begun and are done again};
                     where curves ended before training did: {"step", "warning": why, in words}
    reached          number of the last step that was begun

Nothing here is part of the model: speeds differ from run to run, and weights do not.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

from semconv.training.tracking import Tolerant, Tracking, open_curves, require_tracking

POINTS, REACHED = "training.jsonl", "reached"
_BYTES = 8


class Record:
    """A `Watch` that writes; touches the folder only once training begins. For use in a ``with`` block."""

    def __init__(self, folder: Path, tracking: Tracking, name: str) -> None:
        """``name`` is what the curves are called where several trainings are looked at together.

        Raises `SettingError` as `require_tracking` does.
        """
        require_tracking(tracking)
        self._folder, self._tracking, self._name = folder, tracking, name
        self._points: TextIO | None = None
        self._curves: Tolerant | None = None
        self._reached, self._step = -1, 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._curves is not None:
            self._curves.close(whole=kind is None)
        if self._points is not None:
            with suppress(OSError):  # what did not fit on the disk
                self._points.close()
        if self._reached >= 0:
            os.close(self._reached)

    def resumed(self, step: int) -> None:
        """See `Watch`."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._points = (self._folder / POINTS).open("a", buffering=1)
        self._reached = os.open(self._folder / REACHED, os.O_RDWR | os.O_CREAT, 0o644)
        reached = int.from_bytes(os.pread(self._reached, _BYTES, 0), "little")
        if reached > step:
            self._line({"step": step, "redone": reached - step})
        self._step = step
        self._curves = Tolerant(lambda: open_curves(self._tracking, self._folder, self._name, step), self._curves_ended)

    def began(self, step: int) -> None:
        """See `Watch`; a step counts as begun even if the process is killed at once."""
        os.pwrite(self._reached, step.to_bytes(_BYTES, "little"), 0)

    def point(self, step: int, values: Mapping[str, float]) -> None:
        """See `Watch`."""
        self._step = step
        self._line({"step": step, **values})
        if self._curves is not None:
            self._curves.add(step, values)

    def _curves_ended(self, why: str) -> None:
        self._warn(
            f"align.tracking {self._tracking} failed after step {self._step} ({why}): it gets no further points, and "
            f"training goes on"
        )

    def _line(self, values: Mapping[str, object]) -> None:
        if self._points is None:
            return
        try:
            self._points.write(json.dumps(values) + "\n")
        except OSError as error:
            points, self._points = self._points, None
            with suppress(OSError):
                points.close()
            self._warn(f"{self._folder / POINTS} ends before step {self._step} ({error}), and training goes on")

    def _warn(self, said: str) -> None:
        """Tell whoever runs the loop now, and whoever reads the record later."""
        warnings.warn(said, stacklevel=2)
        self._line({"step": self._step, "warning": said})


def redone_steps(folder: Path) -> int:
    """Steps that were done more than once, in all, by the record in ``folder``."""
    return sum(int(line.get("redone", 0)) for line in _lines(folder))


def warnings_of(folder: Path) -> list[str]:
    """What went wrong with the curves, by the record in ``folder``; none where there is no record."""
    return [line["warning"] for line in _lines(folder) if "warning" in line] if (folder / POINTS).exists() else []


def _lines(folder: Path) -> Iterator[dict[str, Any]]:
    """Every line that was written whole: a full disk or a kill may have cut one."""
    for line in (folder / POINTS).read_text().splitlines():
        with suppress(json.JSONDecodeError):
            yield json.loads(line)

"""What a person sees of a stage: one live line on a terminal, plain lines in a log."""

from __future__ import annotations

import sys
import threading
import time
from typing import TextIO

LOG_EVERY_S = 10.0
REDRAW_EVERY_S = 0.2


def duration(seconds: float) -> str:
    """Seconds as ``4s``, ``3m20s`` or ``2h05m``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02d}m"


class StageLine:
    """Shows one stage's progress; a `semconv.progress.Report`. Use as a context manager."""

    def __init__(self, name: str, stream: TextIO | None = None) -> None:
        self.name = name
        self._stream = stream or sys.stderr
        self._live = self._stream.isatty()
        self._lock = threading.Lock()
        self._started = time.monotonic()
        self._shown = float("-inf") if self._live else self._started
        self._note = ""
        self._begun = (0.0, self._started)
        self._last = float("inf")

    def __enter__(self) -> StageLine:
        self._write(f"{self.name:<10} started", final=not self._live)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        word = "done in" if kind is None else "stopped after"
        self._write(f"{self.name:<10} {word} {duration(time.monotonic() - self._started)}", final=True)

    def __call__(self, done: float, total: float, note: str = "") -> None:
        """Show how far the work is, unless something was shown just before."""
        now = time.monotonic()
        with self._lock:
            if done < self._last:
                self._begun = (done, now)
            self._last = done if total else float("inf")  # what comes after a wait begins anew
            changed = bool(note) and note.split(" ")[0] != self._note
            self._note = note.split(" ")[0] if note else self._note
            if now - self._shown < (REDRAW_EVERY_S if self._live else LOG_EVERY_S) and not changed:
                return
            self._shown = now
        elapsed = now - self._started
        left = self._left(done, total, now)
        share = f"{100 * done / total:3.0f}%" if total else "    "
        self._write(f"{self.name:<10} {share} {note} ({duration(elapsed)}{left})", final=not self._live)

    def _left(self, done: float, total: float, now: float) -> str:
        """Remaining time at the pace since this part began: the first report, or one that fell behind the last."""
        at, since = self._begun
        if done <= at or done >= total:
            return ""
        return f", about {duration((now - since) * (total - done) / (done - at))} left"

    def say(self, line: str) -> None:
        """Print a line that stays."""
        self._write(f"{self.name:<10} {line}", final=True)

    def _write(self, line: str, *, final: bool) -> None:
        with self._lock:
            start = "\r\033[2K" if self._live else ""
            self._stream.write(start + line + ("\n" if final else ""))
            self._stream.flush()

"""How fast a training is, between two moments at which it is looked at."""

from __future__ import annotations

import resource
import sys
import time

import torch


class Meter:
    """Counts tokens, targets and waiting since it was last read or restarted."""

    def __init__(self) -> None:
        self._began, self._waited_s = time.perf_counter(), 0.0
        self._tokens, self._targets = 0, 0

    def count(self, tokens: int, targets: int) -> None:
        """Add a step's tokens and targets, over all ranks."""
        self._tokens += tokens
        self._targets += targets

    def restart(self, waited_s: float) -> None:
        """Leave out the time up to now; ``waited_s`` is how long was waited for data since training began."""
        self._began, self._waited_s = time.perf_counter(), waited_s
        self._tokens, self._targets = 0, 0

    def read(self, waited_s: float) -> dict[str, float]:
        """``tokens_per_s``, ``targets_per_s``, ``waiting`` (share of the time), ``peak_memory`` (bytes); restarts."""
        took = max(1e-9, time.perf_counter() - self._began)
        values = {
            "tokens_per_s": self._tokens / took,
            "targets_per_s": self._targets / took,
            "waiting": (waited_s - self._waited_s) / took,
            "peak_memory": float(peak_memory()),
        }
        self.restart(waited_s)
        return values


def peak_memory() -> int:
    """Most bytes that this process has held: on its GPU where there is one, else in the machine's memory."""
    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit

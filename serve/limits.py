"""How often each key may ask: a token bucket a key, of one second's worth."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from serve.http import ProblemError


class RateLimit:
    """``rate`` requests a second of each caller, at most; 0: as many as there are. ``clock`` in seconds, never back."""

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._room = max(1.0, rate)
        self._clock = clock
        self._left: dict[str, tuple[float, float]] = {}

    def check(self, caller: str) -> None:
        """Count a request of this caller; a 429 `ProblemError` that says when to come back if it is one too many."""
        if not self._rate:
            return
        now = self._clock()
        left, then = self._left.get(caller, (self._room, now))
        left = min(self._room, left + (now - then) * self._rate)
        if left >= 1:
            self._left[caller] = left - 1, now
            return
        self._left[caller] = left, now
        wait_s = math.ceil((1 - left) / self._rate)
        raise ProblemError(
            429,
            "too-many-requests",
            "Too many requests",
            f"At most {self._rate:g} a second with one key; try again in {wait_s} s.",
            headers=((b"retry-after", str(wait_s).encode()),),
        )

"""Admission to the live model: a request that cannot be answered in time is told so before it waits.

By Little's law a request that finds n others waiting leaves after n + 1 departures. The pace, seconds a departure while
somebody waits, is measured: a mean that forgets, in which answers that never came count as well.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from serve.questions import LiveError

FADES_S = 3.0
"""Seconds of waiting after which a departure counts 1/e of what it did; those that leave together count alike."""


class Admission:
    """Of one replica; used on its event loop alone. ``waiting``: requests admitted that have not left."""

    def __init__(self, queue: int, clock: Callable[[], float] = time.monotonic) -> None:
        """``queue``: requests that may wait, at most."""
        self.waiting = 0
        self._queue = queue
        self._clock = clock
        self._moved = self._busy_s = self._left = 0.0

    @property
    def pace(self) -> float | None:
        """Seconds a departure; None before the first."""
        return self._busy_s / self._left if self._left else None

    @contextmanager
    def admit(self, budget_s: float) -> Iterator[None]:
        """Wait for an answer in the block; raises `LiveError` at once where ``budget_s`` would run out before it comes.

        Nobody is refused who would be alone: that is how a pace that was slow is measured again.
        """
        if self.waiting >= self._queue:
            raise LiveError(f"{self.waiting} requests wait already")
        pace = self.pace
        if self.waiting and pace is not None and pace * (self.waiting + 1) > budget_s:
            raise LiveError(f"{self.waiting} requests wait, and one leaves in {pace:.2g} s")
        if not self.waiting:
            self._moved = self._clock()
        self.waiting += 1
        try:
            yield
            self._departed(answered=True)
        except TimeoutError:
            self._departed(answered=False)
            raise
        finally:
            self.waiting -= 1

    def _departed(self, *, answered: bool) -> None:
        """Take in a departure; one without an answer moves nothing forward, so those that follow it count in full."""
        now = self._clock()
        since = now - self._moved
        kept = math.exp(-since / FADES_S)
        self._busy_s, self._left = kept * self._busy_s + since, kept * self._left + 1
        if answered:
            self._moved = now

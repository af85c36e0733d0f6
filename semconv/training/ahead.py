"""Batches made by one thread while the engine computes, so that it never waits for them."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Generic, Self, TypeVar

T = TypeVar("T")
DEPTH = 4
"""Batches made ahead, at most."""
_LOOK_S = 0.1


class _Failed:
    """In the place of a batch: why there is none."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


class ReadAhead(Generic[T]):
    """``make(step)`` for one step after the other, a few ahead of `take`; for use in a ``with`` block.

    ``waited_s`` is how long `take` has waited in all. What ``make`` raises comes out of `take`, at its step. The
    thread ends with the block.
    """

    def __init__(self, make: Callable[[int], T], steps: Iterable[int], depth: int = DEPTH) -> None:
        self.waited_s = 0.0
        self._make, self._steps = make, steps
        self._made: queue.Queue[T | _Failed] = queue.Queue(depth)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="read-ahead", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def take(self) -> T:
        """What was made for the next step."""
        began = time.perf_counter()
        made = self._made.get()
        self.waited_s += time.perf_counter() - began
        if isinstance(made, _Failed):
            raise made.error
        return made

    def _run(self) -> None:
        try:
            for step in self._steps:
                if not self._put(self._make(step)):
                    return
        except BaseException as error:  # whatever it is, the loop is where it must be seen
            self._put(_Failed(error))

    def _put(self, made: T | _Failed) -> bool:
        """Wait for room, unless it is over; whether there was any."""
        while not self._over.is_set():
            try:
                self._made.put(made, timeout=_LOOK_S)
            except queue.Full:
                continue
            return True
        return False

"""Who looks on while a model is trained: curves for people, and which steps were done twice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class Watch(Protocol):
    """Told by the loop what goes on; nothing it is told goes into the model."""

    def resumed(self, step: int) -> None:
        """Training begins, or goes on, with ``step`` steps done."""
        ...

    def began(self, step: int) -> None:
        """Step ``step``, counted from 1, is about to be computed; called at every step, so it must be cheap."""
        ...

    def point(self, step: int, values: Mapping[str, float]) -> None:
        """Values of the curves after ``step`` steps."""
        ...


class Unwatched:
    """Nobody looks on."""

    def resumed(self, step: int) -> None:
        """See `Watch`."""

    def began(self, step: int) -> None:
        """See `Watch`."""

    def point(self, step: int, values: Mapping[str, float]) -> None:
        """See `Watch`."""

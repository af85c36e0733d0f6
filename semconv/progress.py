"""How the library says how far it is: a callable that it is given, and never looks behind."""

from __future__ import annotations

from typing import Protocol


class Report(Protocol):
    """Called with the units done, the units in all, and a few words on what is going on."""

    def __call__(self, done: float, total: float, note: str = "") -> None:
        """Say how far the work is; cheap enough to be called at every step."""
        ...


def silent(done: float, total: float, note: str = "") -> None:
    """A `Report` that says nothing."""

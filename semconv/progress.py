"""How the library says how far it is: a callable that it is given, and never looks behind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Report(Protocol):
    """Called with the units done, the units in all, and a few words on what is going on."""

    def __call__(self, done: float, total: float, note: str = "") -> None:
        """Say how far the work is; cheap enough to be called at every step."""
        ...


class Together:
    """Pieces of work that go on side by side, as one `Report`: the first word of a note names its piece."""

    def __init__(self, report: Report, pieces: Sequence[str]) -> None:
        self._report = report
        self._shares = dict.fromkeys(pieces, 0.0)

    def __call__(self, done: float, total: float, note: str = "") -> None:
        """See `Report`."""
        piece = note.partition(" ")[0]
        if piece in self._shares:
            self._shares[piece] = done / total
        self._report(sum(self._shares.values()), len(self._shares), note)


def silent(done: float, total: float, note: str = "") -> None:
    """A `Report` that says nothing."""

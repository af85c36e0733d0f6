"""What ranks in a live replica, opened once for all snapshots that were made with it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from semconv.artifacts import Run
from semconv.config import RecommendSettings
from semconv.recommend.ranker import Ranker
from serve.questions import LiveError

if TYPE_CHECKING:
    from semconv.recommend.steered import SteeredRanker

Opener = Callable[[Run, RecommendSettings], Ranker]
"""Opens what a run recommends."""


def open_ranker(run: Run, chosen: RecommendSettings) -> Ranker:
    """`semconv.recommend.load.open_recommender`, imported where a model is opened: torch takes seconds."""
    from semconv.recommend.load import open_recommender

    return open_recommender(run, chosen)


class Rankers:
    """``ranker``: what a run recommends under these settings; with a wish as well, from the first wish on."""

    def __init__(self, run: Run, chosen: RecommendSettings, opener: Opener) -> None:
        self.ranker = opener(run, chosen)
        self._run = run
        self._chosen = chosen
        self._steered: SteeredRanker | None = None
        self._reading: threading.Thread | None = None
        self._refused = ""

    @property
    def steered(self) -> SteeredRanker:
        """What takes wishes. Raises `LiveError` until it is open, beside the answers, and where a run has none."""
        if self._steered is not None:
            return self._steered
        if self._refused:
            raise LiveError(self._refused)
        if self._reading is None:
            self._reading = threading.Thread(target=self._open, name="wishes", daemon=True)
            self._reading.start()
        raise LiveError("what reads wishes is being opened")

    def _open(self) -> None:
        from semconv.recommend.load import open_steered

        try:
            steered = open_steered(self._run, self._chosen)
        except Exception as error:  # nobody else would hear of it in a thread
            self._refused = f"This run takes no wishes: {error}"
            return
        if self._chosen.system == "converged":
            self.ranker = steered.unsteered  # the same list, and the weights in memory once
        self._steered = steered

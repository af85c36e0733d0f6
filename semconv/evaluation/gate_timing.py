"""How long an answer takes, of two versions side by side: turn by turn, so that a busy machine slows both alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import numpy as np

from semconv.artifacts import TopKSnapshot
from semconv.artifacts.ragged import Int32
from semconv.recommend.ranker import Ranker

T = TypeVar("T")
LOOKUPS = 500
LOOKUP_ROUNDS, RANKING_ROUNDS = 5, 2


def lookup_seconds(snapshots: Mapping[str, TopKSnapshot]) -> dict[str, float]:
    """Median seconds of finding a user's list, by name: `LOOKUPS` users that the first snapshot holds."""
    users = next(iter(snapshots.values())).user_ids("", LOOKUPS)

    def look(snapshot: TopKSnapshot) -> None:
        for user in users:
            snapshot.lookup(user)

    return {name: seconds / max(1, len(users)) for name, seconds in _timed(snapshots, look, LOOKUP_ROUNDS).items()}


def ranking_seconds(sides: Mapping[str, tuple[Ranker, Sequence[Int32]]], k: int) -> dict[str, float]:
    """Median seconds of ranking for one user, by name, each ranker by its own item indices; the same people."""

    def rank(side: tuple[Ranker, Sequence[Int32]]) -> None:
        ranker, histories = side
        for history in histories:
            ranker.rank([history], k, exclude=[history])

    people = {name: max(1, len(histories)) for name, (_, histories) in sides.items()}
    return {name: seconds / people[name] for name, seconds in _timed(sides, rank, RANKING_ROUNDS).items()}


def _timed(sides: Mapping[str, T], work: Callable[[T], None], rounds: int) -> dict[str, float]:
    """Median seconds of the work on each side, after one round that counts for nothing."""
    found: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds + 1):
        for name, side in sides.items():
            started = time.perf_counter()
            work(side)
            found[name].append(time.perf_counter() - started)
    return {name: float(np.median(seconds[1:])) for name, seconds in found.items()}

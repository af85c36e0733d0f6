"""A known user's answer beside an application that does nothing, behind the same proxy, in turn."""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple
from urllib.parse import quote

from benchmarks.harness import Results
from benchmarks.serving_load import Load, paced, saturate
from semconv.artifacts import TopKSnapshot
from semconv.errors import ResourceError

CONNECTIONS = (1, 16, 64)
COUNTS = 16
"""The number of connections that the figures are of."""
LOOK_S = 0.02
PATIENCE_S = 180.0
PATHS = 20_000
"""Users asked for, at most, drawn at random."""


class Size(NamedTuple):
    """How long is measured: seconds a load, rounds of all of them."""

    seconds: int
    rounds: int = 5


def user_paths(snapshot: TopKSnapshot) -> list[str]:
    """Where the lists of the snapshot's users are, below a service's URL."""
    return [f"/v1/users/{quote(user, safe='')}/recommendations" for user in snapshot.user_ids("", PATHS)]


def first_answer(url: str, lives: Callable[[], bool] = lambda: True) -> bytes:
    """The first answer of status 200 there; raises `ResourceError` where none comes while what would give it lives."""
    until = time.monotonic() + PATIENCE_S
    while lives() and time.monotonic() < until:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                body: bytes = answer.read()
        except OSError:  # nothing listens yet, or what does knows of nobody who could answer
            time.sleep(LOOK_S)
        else:
            return body
    raise ResourceError(f"{url} gives no answer", "See the service's log")


def in_turn(loads: dict[str, Callable[[], Load]], rounds: int) -> dict[str, list[Load]]:
    """All loads of every round, one after another, because a machine's speed drifts."""
    found: dict[str, list[Load]] = {name: [] for name in loads}
    for _ in range(rounds):
        for name, load in loads.items():
            found[name].append(load())
    return found


def saturated(urls: dict[str, str], paths: Path, size: Size) -> dict[int, dict[str, list[Load]]]:
    """As many requests as it takes to keep each of ``urls`` busy, by connections."""

    def load(url: str, connections: int) -> Callable[[], Load]:
        return lambda: saturate(url, paths, connections=connections, seconds=size.seconds)

    for url in urls.values():
        saturate(url, paths, connections=COUNTS, seconds=size.seconds)  # the first requests take longer
    return {
        connections: in_turn({name: load(url, connections) for name, url in urls.items()}, size.rounds)
        for connections in CONNECTIONS
    }


def at_rate(urls: dict[str, str], rate: float, size: Size) -> dict[str, list[Load]]:
    """``rate`` requests a second to each of ``urls``."""

    def load(url: str) -> Callable[[], Load]:
        return lambda: paced(url, rate=rate, connections=COUNTS, seconds=size.seconds)

    return in_turn({name: load(url) for name, url in urls.items()}, size.rounds)


def ratio(ours: Sequence[Load], theirs: Sequence[Load], figure: str) -> float:
    """A figure of one over the other's: the median of the rounds' own ratios."""
    ratios = [getattr(one, figure) / getattr(other, figure) for one, other in zip(ours, theirs, strict=True)]
    return float(median(ratios))


def told(loads: Sequence[Load]) -> Results:
    """Medians over the rounds, the pace of every round, and all errors."""
    return {
        **{figure: median(getattr(load, figure) for load in loads) for figure in ("rps", "p50_ms", "p99_ms")},
        "errors": sum(load.errors for load in loads),
        "rounds": [round(load.rps) for load in loads],
    }

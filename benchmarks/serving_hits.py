"""A known user's answer beside an application that does nothing, behind the same proxy, in turn."""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple
from urllib.parse import quote

import numpy as np
import pyarrow as pa

from benchmarks.harness import Results
from benchmarks.serving_load import Load, ask, require_cached
from semconv.artifacts import TopKSnapshot
from semconv.errors import ResourceError

CONNECTIONS = (1, 16, 64)
COUNTS = 16
"""The number of connections that the figures are of."""
LOOK_S = 0.02
PATIENCE_S = 180.0
PATHS = 100_000
"""Users asked for, at most: some times as many as `serve.prepared`, so that a large shop's are not all kept ready."""


class Size(NamedTuple):
    """How long is measured: seconds a load, rounds of all of them."""

    seconds: int
    rounds: int = 5


def user_paths(snapshot: TopKSnapshot, count: int = PATHS) -> list[str]:
    """Where the lists of ``count`` users are, or of all, drawn over the whole snapshot, below a service's URL."""
    drawn = np.random.default_rng(17).permutation(snapshot.n_users)[:count]
    ids = pa.chunked_array([batch["user_id"] for batch in snapshot.users()]).take(pa.array(drawn))
    return [f"/v1/users/{quote(user, safe='')}/recommendations" for user in ids.to_pylist()]


def answer(url: str) -> bytes:
    """What is answered there with status 200; raises OSError for anything else."""
    with urllib.request.urlopen(url, timeout=5) as answered:
        body: bytes = answered.read()
    return body


def first_answer(url: str, lives: Callable[[], bool] = lambda: True) -> bytes:
    """The first answer of status 200 there; raises `ResourceError` where none comes while what would give it lives."""
    until = time.monotonic() + PATIENCE_S
    while lives() and time.monotonic() < until:
        try:
            return answer(url)
        except OSError:  # nothing listens yet, or what does knows of nobody who could answer
            time.sleep(LOOK_S)
    raise ResourceError(f"{url} gives no answer", "See the service's log")


def in_turn(loads: dict[str, Callable[[], Load]], rounds: int) -> dict[str, list[Load]]:
    """All loads of every round, one after another, because a machine's speed drifts."""
    found: dict[str, list[Load]] = {name: [] for name in loads}
    for _ in range(rounds):
        for name, load in loads.items():
            found[name].append(load())
    return found


class Beside(NamedTuple):
    """Hits and the application that does nothing, in turn, by name."""

    saturated: dict[int, dict[str, list[Load]]]
    """By connections: as many requests as it takes to keep each busy."""
    half: dict[str, list[Load]]
    """At one rate, half of what hits saturate at."""

    @property
    def saturation(self) -> float:
        """Hits a second that the service can answer."""
        return float(median(load.rps for load in self.saturated[COUNTS]["hit"]))

    @property
    def figures(self) -> tuple[float, float]:
        """Requests a second over those of the other application, and 99th percentiles at half the rate."""
        alike = self.saturated[COUNTS]
        return ratio(alike["hit"], alike["noop"], "rps"), ratio(self.half["hit"], self.half["noop"], "p99_ms")

    def told(self) -> Results:
        """All loads."""
        counts = {str(count): _told_by_name(loads) for count, loads in self.saturated.items()}
        return {"saturated": counts, "half_of_saturation": _told_by_name(self.half)}


def beside(urls: dict[str, str], paths: Path, size: Size, counts: Sequence[int] = CONNECTIONS) -> Beside:
    """``paths`` below two ``urls``, "hit" and "noop"; every answer is to be a good one, and to come from the cache.

    Where it comes from is looked at in all answers at half the rate, and before and after those that saturate.
    """

    def load(url: str, connections: int, rate: float = 0, told: bool = False) -> Callable[[], Load]:
        chosen = {"connections": connections, "seconds": size.seconds, "rate": rate, "told": told}
        return lambda: require_cached(ask(url, paths, **chosen))  # type: ignore[arg-type]  # options of several types

    def look() -> None:
        for url in urls.values():
            load(url, COUNTS, told=True)()

    look()  # and the first requests take longer
    saturated = {
        count: in_turn({name: load(url, count) for name, url in urls.items()}, size.rounds) for count in counts
    }
    look()
    rate = median(found.rps for found in saturated[COUNTS]["hit"]) / 2
    half = in_turn({name: load(url, COUNTS, rate, told=True) for name, url in urls.items()}, size.rounds)
    return Beside(saturated, half)


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


def _told_by_name(loads: dict[str, list[Load]]) -> Results:
    return {name: told(found) for name, found in loads.items()}

"""Two hot swaps, there and back, while a service is asked as much as it can answer: no request may fail."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.harness import Results
from benchmarks.serving_hits import COUNTS
from benchmarks.serving_load import ask
from semconv.artifacts import Recommender, Run, TopKSnapshot
from semconv.config import Settings
from semconv.errors import ResourceError
from serve.args import Args, Variants
from serve.swap import swap

SECONDS = 2
"""Of one load; as many follow one another as are needed."""
PATIENCE_S = 900.0


class Endless:
    """Loads one after another in a thread, until the block ends."""

    def __init__(self, url: str, paths: Path) -> None:
        self.requests = 0
        self.errors = 0
        self.answers: Counter[str] = Counter()
        self._over = threading.Event()
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._ask, args=(url, paths), daemon=True)

    def __enter__(self) -> Endless:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def reach(self, requests: int) -> None:
        """Wait until so many were asked."""
        until = time.monotonic() + PATIENCE_S
        while self.requests < requests and self._thread.is_alive():
            if time.monotonic() > until:
                raise ResourceError(f"{requests} requests take longer than {PATIENCE_S:g} s", "Ask for fewer")
            time.sleep(0.05)

    def _ask(self, url: str, paths: Path) -> None:
        try:
            while not self._over.is_set():
                load = ask(url, paths, connections=COUNTS, seconds=SECONDS, told=True)
                self.answers.update(load.answers)
                self.errors += load.errors
                self.requests += load.requests
        except Exception as error:  # told where the block ends
            self._failure = error


def swaps(url: str, paths: Path, settings: Settings, run: Run, other: TopKSnapshot, count: int) -> Results:
    """At least ``count`` requests, and two swaps, to ``other`` and back, at a third and two thirds of them.

    ``other`` has the lists of the run's snapshot from their ends (`write_reversed`), so that an answer's scores tell
    whose list it is. ``swap_errors``: requests that failed, and answers that were not the cache's, named another
    snapshot or model than these, or had the list of the other snapshot than the one that they name.
    """
    first = TopKSnapshot.open(run.artifact(TopKSnapshot.kind))
    model = first.manifest.lineage[Recommender.kind]
    took_s = []
    with Endless(url, paths) as asking:
        for turn, snapshot in enumerate((other, first), start=1):
            asking.reach(turn * count // 3)
            began = time.perf_counter()
            swap(_variants(settings, snapshot))
            took_s.append(time.perf_counter() - began)
        asking.reach(count)
    served = {"falling": first, "rising": other}
    named = {order: f"200 cache {one.fingerprint[:12]} {model[:12]}" for order, one in served.items()}
    if not {f"{versions} {order}" for order, versions in named.items()} <= asking.answers.keys():
        raise ResourceError("Not both snapshots have answered", "See the service's log for why it refused one")
    wrong = wrong_answers(asking.answers, named)
    return {
        "swap_errors": asking.errors + wrong,
        "requests": asking.requests,
        "swaps_s": took_s,
        "answers": dict(sorted(asking.answers.items())),
    }


def wrong_answers(answers: Mapping[str, int], named: Mapping[str, str]) -> int:
    """How many answers of status 200 are none of those that there may be: versions by the order of scores.

    A list of one item, or of equal scores, has no order; its versions must be right.
    """
    right = {f"{versions} {said}" for order, versions in named.items() for said in (order, "-")}
    return sum(count for kind, count in answers.items() if kind.startswith("200 ") and kind not in right)


def _variants(settings: Settings, snapshot: TopKSnapshot) -> Variants:
    chosen = settings.model_copy(
        update={"serve": settings.serve.model_copy(update={"snapshot": str(snapshot.path.absolute())})}
    )
    return Args.of(chosen).variants.model_copy(update={"at": datetime.now(UTC).isoformat()})

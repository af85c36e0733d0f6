"""Two hot swaps, there and back, while a service is asked as much as it can answer: no request may fail."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import yaml

from benchmarks.harness import Results
from benchmarks.serving_hits import COUNTS
from benchmarks.serving_load import saturate
from benchmarks.shop import REPOSITORY, linked
from semconv.artifacts import Recommender, Run, TopKSnapshot
from semconv.config import Settings
from semconv.errors import ResourceError
from serve.args import Args, Variants
from serve.swap import swap

SECONDS = 2
"""Of one load; as many follow one another as are needed."""
PATIENCE_S = 900.0


def another(run: Run, settings: Settings, scratch: Path) -> TopKSnapshot:
    """Another snapshot of the same run: the same lists, in other files."""
    copy = linked(run, scratch / "another")
    chosen = {"shards": settings.precache.shards + 1, "since": str(run.artifact(TopKSnapshot.kind))}
    changed = settings.model_copy(
        update={
            "run": settings.run.model_copy(update={"root": str(copy.path.parent)}),
            "precache": settings.precache.model_copy(update=chosen),
        }
    )
    config = scratch / "another.yaml"
    config.write_text(yaml.safe_dump(changed.model_dump(mode="json")))
    subprocess.run([sys.executable, "-m", "pipelines.precache", "--config", str(config)], cwd=REPOSITORY, check=True)
    return TopKSnapshot.open(copy.artifact(TopKSnapshot.kind))


class Asking:
    """Loads one after another in a thread, until the block ends."""

    def __init__(self, url: str, paths: Path) -> None:
        self.requests = 0
        self.errors = 0
        self.answers: Counter[str] = Counter()
        self._over = threading.Event()
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._ask, args=(url, paths), daemon=True)

    def __enter__(self) -> Asking:
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
                load = saturate(url, paths, connections=COUNTS, seconds=SECONDS, told=True)
                self.answers.update(load.answers)
                self.errors += load.errors
                self.requests += load.requests
        except Exception as error:  # told where the block ends
            self._failure = error


def swaps(url: str, paths: Path, settings: Settings, run: Run, other: TopKSnapshot, count: int) -> Results:
    """At least ``count`` requests, and two swaps at a third and two thirds of them.

    ``swap_errors``: requests that failed, and answers that were not the cache's or named versions that do not belong
    together.
    """
    first = TopKSnapshot.open(run.artifact(TopKSnapshot.kind))
    model = first.manifest.lineage[Recommender.kind]
    took_s = []
    with Asking(url, paths) as asking:
        for turn, snapshot in enumerate((other, first), start=1):
            asking.reach(turn * count // 3)
            began = time.perf_counter()
            swap(_variants(settings, snapshot))
            took_s.append(time.perf_counter() - began)
        asking.reach(count)
    right = {f"200 cache {served.fingerprint[:12]} {model[:12]}" for served in (first, other)}
    if not right <= asking.answers.keys():
        raise ResourceError("Not both snapshots have answered", "See the service's log for why it refused one")
    wrong = sum(number for kind, number in asking.answers.items() if kind not in right and kind.startswith("200 "))
    return {
        "swap_errors": asking.errors + wrong,
        "requests": asking.requests,
        "swaps_s": took_s,
        "answers": dict(sorted(asking.answers.items())),
    }


def _variants(settings: Settings, snapshot: TopKSnapshot) -> Variants:
    chosen = settings.model_copy(
        update={"serve": settings.serve.model_copy(update={"snapshot": str(snapshot.path.absolute())})}
    )
    return Args.of(chosen).variants.model_copy(update={"at": datetime.now(UTC).isoformat()})

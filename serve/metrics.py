"""What is counted while requests are answered: kept in plain numbers, handed on once a second.

Counting a request costs a microsecond; a call into a metrics library for each would cost more than a cache hit does.
A histogram is handed on as Prometheus keeps one, counters of what was at most ``le`` seconds, so that
``histogram_quantile(0.99, sum by (le) (rate(..._bucket_total[1m])))`` reads it.
"""

from __future__ import annotations

import logging
import threading
from bisect import bisect_left
from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

EVERY_S = 1.0
BOUNDS_S = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Upper bounds of the histogram's buckets, in seconds; the last bucket has none."""

log = logging.getLogger(__name__)


class Series(NamedTuple):
    """What a metric is and how its values are told apart."""

    kind: str
    meaning: str
    tags: tuple[str, ...] = ()


SERIES = {
    "semconv_requests": Series("counter", "requests answered", ("endpoint", "source", "status")),
    "semconv_request_seconds_bucket": Series(
        "counter", "requests answered within le seconds", ("endpoint", "source", "le")
    ),
    "semconv_request_seconds_sum": Series("counter", "seconds spent answering", ("endpoint", "source")),
    "semconv_cache_age_seconds": Series("gauge", "age of the snapshot that is served"),
    "semconv_live_waiting": Series("gauge", "requests that wait for the live model at this replica"),
    "semconv_prepared_answers": Series("gauge", "answers kept ready to send"),
}
"""Every metric of the ingress; the monitoring system adds the replica, and ``_total`` to counters."""


class Sink(Protocol):
    """Where metrics go."""

    def add(self, name: str, tags: Mapping[str, str], amount: float) -> None:
        """Raise a counter."""
        ...

    def set(self, name: str, tags: Mapping[str, str], value: float) -> None:
        """Set a gauge."""
        ...


class Metrics:
    """Counts requests in the thread that answers them, and hands on from one of its own what was added since.

    Totals only grow and are read whole, so that nothing is lost between the two threads. ``sink`` None counts only.
    """

    def __init__(self, sink: Sink | None = None, every_s: float = EVERY_S) -> None:
        self._sink = sink
        self._requests: dict[tuple[str, str, int], int] = {}
        self._buckets: dict[tuple[str, str], list[int]] = {}
        self._seconds: dict[tuple[str, str], float] = {}
        self._sent: dict[tuple[str, tuple[str, ...]], float] = {}
        self._gauges: Callable[[], Mapping[str, float]] = dict
        self._stop = threading.Event()
        if sink is not None:
            threading.Thread(target=self._run, args=(every_s,), name="metrics", daemon=True).start()

    def answered(self, endpoint: str, source: str, status: int, seconds: float) -> None:
        """Count a request; ``source`` is the rung that answered it, empty where there is none."""
        which = endpoint, source, status
        self._requests[which] = self._requests.get(which, 0) + 1
        timed = endpoint, source
        if timed not in self._buckets:
            self._buckets[timed] = [0] * (len(BOUNDS_S) + 1)
        self._buckets[timed][bisect_left(BOUNDS_S, seconds)] += 1
        self._seconds[timed] = self._seconds.get(timed, 0.0) + seconds

    def watch(self, gauges: Callable[[], Mapping[str, float]]) -> None:
        """Ask this for the gauges' values, by name, each time before they are handed on; called in another thread."""
        self._gauges = gauges

    def totals(self) -> dict[tuple[str, tuple[str, ...]], float]:
        """Every counter's value since the start, by its name and the values of its tags."""
        found: dict[tuple[str, tuple[str, ...]], float] = {}
        for (endpoint, source, status), count in dict(self._requests).items():
            found["semconv_requests", (endpoint, source, str(status))] = count
        for timed, buckets in dict(self._buckets).items():
            within = 0
            for bound, count in zip((*BOUNDS_S, "+Inf"), list(buckets), strict=True):
                within += count
                found["semconv_request_seconds_bucket", (*timed, str(bound))] = within
            found["semconv_request_seconds_sum", timed] = self._seconds.get(timed, 0.0)
        return found

    def flush(self, sink: Sink) -> None:
        """Hand on what was added since the last time, and the gauges."""
        for (name, values), total in self.totals().items():
            added = total - self._sent.get((name, values), 0.0)
            if added > 0:
                sink.add(name, dict(zip(SERIES[name].tags, values, strict=True)), added)
                self._sent[name, values] = total
        for name, value in self._gauges().items():
            sink.set(name, {}, value)

    def close(self) -> None:
        """Stop handing on."""
        self._stop.set()

    def _run(self, every_s: float) -> None:
        assert self._sink is not None
        while not self._stop.wait(every_s):
            try:
                self.flush(self._sink)
            except Exception as error:
                log.warning("metrics were not handed on this time: %s", error)


class RaySink:
    """Ray's metrics, which every node exports for Prometheus with the prefix ``ray_``."""

    def __init__(self) -> None:
        from ray.util.metrics import Counter, Gauge

        self._counters = {
            name: Counter(name, series.meaning, tag_keys=series.tags)
            for name, series in SERIES.items()
            if series.kind == "counter"
        }
        self._gauges = {
            name: Gauge(name, series.meaning, tag_keys=series.tags)
            for name, series in SERIES.items()
            if series.kind == "gauge"
        }

    def add(self, name: str, tags: Mapping[str, str], amount: float) -> None:
        """Raise a counter."""
        self._counters[name].inc(amount, tags=dict(tags))

    def set(self, name: str, tags: Mapping[str, str], value: float) -> None:
        """Set a gauge."""
        self._gauges[name].set(value, tags=dict(tags))

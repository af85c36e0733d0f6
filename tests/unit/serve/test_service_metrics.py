"""What is counted, that none of it is lost on its way, and that the dashboard asks for metrics that exist."""

from __future__ import annotations

import json
import re
import threading
from collections import Counter
from collections.abc import Mapping

from serve.metrics import BOUNDS_S, SERIES, Metrics
from tests.conftest import REPOSITORY


class Kept:
    """A sink that adds up what it is given, as a metrics library does."""

    def __init__(self) -> None:
        self.counters: Counter[tuple[str, tuple[str, ...]]] = Counter()
        self.gauges: dict[str, float] = {}
        self.flushed = threading.Event()

    def add(self, name: str, tags: Mapping[str, str], amount: float) -> None:
        assert SERIES[name].kind == "counter"
        assert tuple(tags) == SERIES[name].tags
        self.counters[name, tuple(tags.values())] += amount

    def set(self, name: str, tags: Mapping[str, str], value: float) -> None:
        assert SERIES[name].kind == "gauge"
        self.gauges[name] = value
        self.flushed.set()


def test_requests_are_counted_by_endpoint_source_and_status_and_timed_in_buckets() -> None:
    metrics, sink = Metrics(), Kept()
    for seconds in (0.00005, 0.0001, 0.002, 60.0):
        metrics.answered("/a", "cache", 200, seconds)
    metrics.answered("/a", "", 404, 0.001)
    metrics.flush(sink)
    assert sink.counters["semconv_requests", ("/a", "cache", "200")] == 4
    assert sink.counters["semconv_requests", ("/a", "", "404")] == 1
    within = [sink.counters["semconv_request_seconds_bucket", ("/a", "cache", str(le))] for le in (*BOUNDS_S, "+Inf")]
    assert within == [2, 2, 2, 2, *[3] * (len(BOUNDS_S) - 4), 4]
    assert sink.counters["semconv_request_seconds_sum", ("/a", "cache")] == 0.00005 + 0.0001 + 0.002 + 60.0


def test_only_what_was_added_is_handed_on_and_a_sink_that_fails_gets_it_later() -> None:
    metrics, sink = Metrics(), Kept()

    class Full(Kept):
        def add(self, name: str, tags: Mapping[str, str], amount: float) -> None:
            raise OSError("no room")

    for _ in range(3):
        metrics.answered("/a", "cache", 200, 0.001)
        metrics.flush(sink)
        metrics.flush(sink)
        metrics.answered("/a", "cache", 200, 0.001)
        try:
            metrics.flush(Full())
        except OSError:
            continue
        raise AssertionError("a full sink was not asked")
    metrics.flush(sink)
    assert sink.counters["semconv_requests", ("/a", "cache", "200")] == 6


def test_nothing_is_lost_between_the_threads() -> None:
    sink = Kept()
    metrics = Metrics(sink, every_s=0.001)
    metrics.watch(lambda: {"semconv_live_waiting": 3.0})
    for number in range(20_000):
        metrics.answered(f"/{number % 50}", "cache", 200, 0.001)
    assert sink.flushed.wait(10)
    metrics.close()
    metrics.flush(sink)
    assert sum(count for (name, _), count in sink.counters.items() if name == "semconv_requests") == 20_000
    assert sink.gauges == {"semconv_live_waiting": 3.0}


def test_the_dashboard_asks_for_metrics_that_there_are() -> None:
    dashboard = json.loads((REPOSITORY / "deploy" / "grafana" / "semconv.json").read_text())
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    named = {name for expression in asked for name in re.findall(r"ray_(semconv_\w+)", expression)}
    exported = {name if series.kind == "gauge" else f"{name}_total" for name, series in SERIES.items()}
    assert named == exported
    for expression in asked:
        for name, tags in re.findall(r"ray_(semconv_\w+)\{([^}]*)\}", expression):
            known = {*SERIES[name.removesuffix("_total")].tags, "instance"}
            assert set(re.findall(r"(\w+)[=!]", tags)) <= known, expression

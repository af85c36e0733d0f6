"""Metrics of the ingress come out of a node as the dashboard names them."""

from __future__ import annotations

import re
import time

import httpx
import ray

from serve.metrics import SERIES, Metrics, RaySink

WAIT_S = 120


def exported() -> dict[str, float]:
    """Sums of this project's metrics, by name, of the node that this process is on."""
    node = next(node for node in ray.nodes() if node["Alive"])
    text = httpx.get(f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics").text
    found: dict[str, float] = {}
    for name, value in re.findall(r"^ray_(semconv_\w+)\{.*\} (\S+)$", text, re.MULTILINE):
        found[name] = found.get(name, 0.0) + float(value)
    return found


def test_everything_that_the_dashboard_asks_for_is_exported_and_adds_up() -> None:
    metrics, sink = Metrics(), RaySink()
    metrics.watch(lambda: {name: 7.0 for name, series in SERIES.items() if series.kind == "gauge"})
    for _ in range(3):
        metrics.answered("/v1/users/{user_id}/recommendations", "cache", 200, 0.25)
        metrics.flush(sink)
    names = {name if series.kind == "gauge" else f"{name}_total" for name, series in SERIES.items()}
    deadline = time.monotonic() + WAIT_S
    while not names <= (found := exported()).keys() and time.monotonic() < deadline:
        time.sleep(0.5)
    assert names <= found.keys()
    assert found["semconv_requests_total"] == 3
    assert found["semconv_request_seconds_sum_total"] == 0.75
    assert found["semconv_cache_age_seconds"] == 7

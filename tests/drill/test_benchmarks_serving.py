"""The benchmarks of precache and of the service in their short form: they run through and write every figure."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from semconv.artifacts import Run
from tests.conftest import REPOSITORY, tool


def results_of(name: str, run: Run, folder: Path) -> dict[str, Any]:
    """What ``python -m benchmarks.NAME --quick`` writes."""
    out = folder / f"{name}.json"
    command = [sys.executable, "-m", f"benchmarks.{name}", "--quick", "--run", str(run.path), "--out", str(out)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=1500)
    assert done.returncode == 0, done.stderr
    results: dict[str, Any] = json.loads(out.read_text())["results"]
    return results


@pytest.mark.timeout(1800)
def test_the_serving_benchmark_writes_its_figures(tiny_run: Run, tmp_path: Path) -> None:
    tool("wrk")
    results = results_of("serving", tiny_run, tmp_path)
    detail = results.pop("detail")
    assert results.keys() == {
        "hit_rps_over_noop",
        "hit_p99_over_noop_p99",
        "unprepared_rps_over_noop",
        "unprepared_p99_over_noop_p99",
        "hit_rps_over_default_proxy",
        "swap_errors",
        "hit_p99_under_live_overload",
        "live_p50_over_decode",
        "restart_s",
    }
    assert results.pop("swap_errors") == 0
    assert min(results.values()) > 0
    assert detail["saturated"].keys() == {"1", "16", "64"}
    assert sum(loads["errors"] for alike in detail["saturated"].values() for loads in alike.values()) == 0
    assert detail["unprepared"]["saturated"].keys() == {"16"}
    assert len(detail["swaps"]["swaps_s"]) == 2
    assert {kind.split()[-1] for kind in detail["swaps"]["answers"]} == {"falling", "rising"}


@pytest.mark.timeout(1800)
def test_the_precache_benchmark_writes_its_figures(tiny_run: Run, tmp_path: Path) -> None:
    results = results_of("precache", tiny_run, tmp_path)
    detail = results.pop("detail")
    assert results.keys() == {
        "users_per_s",
        "pipeline_efficiency",
        "resume_lost",
        "resume_duplicated",
        "incremental_share",
        "snapshot",
    }
    assert results["resume_lost"] == results["resume_duplicated"] == 0
    assert results["incremental_share"] == pytest.approx(0.05, abs=0.005)
    assert min(results["users_per_s"], results["pipeline_efficiency"]) > 0
    assert {"build_s", "peak_gib", "lookup_p99_us"} <= results["snapshot"].keys()
    readers = results["snapshot"]["readers"]
    assert readers["private_gib"] < readers["shared_once_gib"] < readers["resident_gib"]
    assert detail["incremental"]["everybody_s"] > 0
    assert detail["resumed"]["killed_at"][0] < 1

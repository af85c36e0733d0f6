"""The benchmarks, run as a person runs them, on few rows."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.conftest import REPOSITORY


def test_the_ingest_benchmark_writes_its_figures(tmp_path: Path) -> None:
    out = tmp_path / "ingest.json"
    command = [sys.executable, "-m", "benchmarks.ingest", "--rows", "3000", "--out", str(out)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    content = json.loads(out.read_text())
    assert content.keys() == {"machine", "versions", "settings", "results"}
    assert content["settings"]["rows"] == 3000
    assert {"processor", "cores", "memory_gib"} <= content["machine"].keys()
    assert "ray" in content["versions"]
    results = content["results"]
    assert {"seconds", "peak_gib", "growth", "over_single_process"} <= results.keys()
    assert results["rows"] > 2000
    assert min(results[name] for name in ("seconds", "peak_gib", "over_single_process")) > 0
    assert "over_single_process" in done.stdout

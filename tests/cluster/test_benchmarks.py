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


def test_the_decode_benchmark_writes_its_figures(tmp_path: Path) -> None:
    out = tmp_path / "decode.json"
    command = [sys.executable, "-m", "benchmarks.decode", "--quick", "--out", str(out)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    results = json.loads(out.read_text())["results"]
    assert results["codes"] in ("letter_native.csv.gz", "synthetic")
    demo = results["models"]["demo"]
    assert demo["identical_topk"] == 1.0
    assert demo["token_bound"]["full"] == 1.6
    assert 1 < demo["token_bound"]["legal"] < 1.6
    assert demo["ours_over_prefill"].keys() == {"full", "legal"}
    assert min(demo["hf_over_ours"], demo["users_per_s"], results["compact"]["users_per_s_over_tokens"]) > 0
    assert results["mask"]["100000"]["ms"] > 0
    assert results["sweeps"]["beams"]["20"].keys() == {"full", "legal"}
    assert "Search over prefill, by beams" in out.with_suffix(".html").read_text()

"""The benchmark of scale on a shop of 2,000 users: it goes through every stage and writes every figure."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.conftest import REPOSITORY


def test_the_scale_benchmark_tells_of_every_stage(tmp_path: Path) -> None:
    out = tmp_path / "scale.json"
    sizes = ["--users", "2000", "--quick", "--scratch", str(tmp_path)]
    command = [sys.executable, "-m", "benchmarks.scale", *sizes, "--out", str(out)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=550)
    assert done.returncode == 0, done.stderr
    results = json.loads(out.read_text())["results"]
    assert results["stages"].keys() == results["growth"].keys() == {"ingest", "tokenize", "precache", "snapshot"}
    for taken in results["stages"].values():
        assert taken.keys() == {"200", "2000"}
        assert min(figure[name] for figure in taken.values() for name in ("seconds", "peak_gib")) > 0
    assert 0 < results["stages"]["snapshot"]["2000"]["neighbours_s"] < results["stages"]["snapshot"]["2000"]["seconds"]
    assert (results["shops"]["2000"]["users"], results["shops"]["2000"]["items"]) == (2000, 200)
    assert {"raw", "corpus", "vectors", "behaviour", "tokens", "model", "topk"} <= results["bytes"].keys()
    assert results["parameters"] <= 500_000
    assert sorted(tmp_path.iterdir()) == [out]

"""The whole job killed with kill -9 in the middle of every stage, and started again each time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from semconv.artifacts import Manifest, Run
from tests.conftest import REPOSITORY
from tests.kill import has_checkpoint, kill_at_line, kill_when

MAKES = {
    "ingest": ["corpus"],
    "embed": ["vectors", "behaviour"],
    "base": ["base"],
    "tokenize": ["tokens"],
    "examples": ["examples"],
    "align": ["model"],
    "converge": ["blend"],
    "evaluate": ["report"],
    "precache": ["topk"],
}


def kill_in(stage: str, job: list[str], root: Path) -> None:
    """Start the job and kill it amid the stage's work: align after a checkpoint, the others at their first news.

    Ingest, tokenize and examples are over too soon after any news on so small a shop: they are killed as they begin.
    """
    if stage == "align":
        kill_when(job, lambda: has_checkpoint(root / "tiny" / ".align"), root / "log")
    else:
        news = "started" if stage in ("ingest", "tokenize", "examples") else "%"
        kill_at_line(job, lambda line: line.startswith(stage) and news in line)


def metrics(run: Path) -> object:
    return json.loads((run / "report" / "metrics.json").read_text())["systems"]


@pytest.mark.timeout(2400)
def test_a_job_killed_in_every_stage_ends_with_what_an_undisturbed_one_makes(tiny_run: Run, tmp_path: Path) -> None:
    run = tmp_path / "tiny"
    job = ["pipelines.run", "--config", "tests/tiny.yaml", "--run.root", str(tmp_path), "--align.checkpoint_every", "2"]
    finished: list[str] = []
    for stage, kinds in MAKES.items():
        kill_in(stage, job, tmp_path)
        visible = {p.name for p in run.iterdir() if not p.name.startswith(".")} if run.exists() else set()
        assert visible - {"logs"} == {kind for done in finished for kind in MAKES[done]}, f"killed in {stage}"
        finished.append(stage)
        subprocess.run(
            [sys.executable, "-m", *job, "--run.until", stage], cwd=REPOSITORY, check=True, capture_output=True
        )
        assert {p.name for p in run.iterdir() if not p.name.startswith(".")} >= set(kinds)
    assert list(run.glob(".*.tmp-*")) == []
    assert metrics(run) == metrics(tiny_run.path)
    for kind in ("corpus", "vectors", "tokens", "model", "topk"):
        assert Manifest.read(run / kind).fingerprint == Manifest.read(tiny_run.path / kind).fingerprint, kind

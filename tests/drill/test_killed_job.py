"""The whole job killed with kill -9 in the middle of every stage, and started again each time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from semconv.artifacts import Manifest, Run
from tests.conftest import REPOSITORY

MAKES = {
    "ingest": ["corpus"],
    "embed": ["vectors", "behaviour"],
    "base": ["base"],
    "tokenize": ["tokens"],
    "align": ["model"],
    "evaluate": ["report"],
    "precache": ["topk"],
}


def start(root: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "pipelines.run", "--config", "tests/tiny.yaml", "--run.root", str(root)]
    return subprocess.Popen(command, cwd=REPOSITORY, stderr=subprocess.PIPE, text=True, start_new_session=True)


def kill_in(stage: str, root: Path) -> None:
    """Start the job and kill everything that belongs to it as soon as the stage has begun its work."""
    process = start(root)
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith(stage) and "started" in line:
            break
    else:
        pytest.fail(f"the job ended before {stage} began")
    family = psutil.Process(process.pid).children(recursive=True)
    os.kill(process.pid, signal.SIGKILL)
    for member in family:
        if member.is_running():
            member.kill()
    psutil.wait_procs(family, timeout=60)
    process.wait(60)


def metrics(run: Path) -> object:
    return json.loads((run / "report" / "metrics.json").read_text())["systems"]


@pytest.mark.timeout(2400)
def test_a_job_killed_in_every_stage_ends_with_what_an_undisturbed_one_makes(tiny_run: Run, tmp_path: Path) -> None:
    run = tmp_path / "tiny"
    finished: list[str] = []
    for stage, kinds in MAKES.items():
        kill_in(stage, tmp_path)
        visible = {p.name for p in run.iterdir() if not p.name.startswith(".")} if run.exists() else set()
        assert visible == {kind for done in finished for kind in MAKES[done]}, f"killed in {stage}"
        finished.append(stage)
        only = [sys.executable, "-m", "pipelines.run", "--config", "tests/tiny.yaml", "--run.until", stage]
        subprocess.run([*only, "--run.root", str(tmp_path)], cwd=REPOSITORY, check=True, capture_output=True)
        assert {p.name for p in run.iterdir() if not p.name.startswith(".")} >= set(kinds)
    assert list(run.glob(".*.tmp-*")) == []
    assert metrics(run) == metrics(tiny_run.path)
    for kind in ("corpus", "vectors", "tokens", "model", "topk"):
        assert Manifest.read(run / kind).fingerprint == Manifest.read(tiny_run.path / kind).fingerprint, kind

"""align with kill -9 in mid-epoch, of one worker or of the whole job: the same weights, every target once an epoch."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import torch
import yaml
from safetensors.torch import load_file

from semconv.artifacts import Run
from semconv.config import RaySettings, RunSettings, Settings
from semconv.training.record import POINTS, redone_steps
from tests.conftest import REPOSITORY
from tests.kill import POLL_S, has_checkpoint, kill_when
from tests.unit.training.tiny_inputs import ring_walks, tiny_align, write_inputs

EPOCHS = 120
TARGETS = sum(len(walk) - 2 for walk in ring_walks())


@pytest.fixture
def run(tmp_path: Path) -> Run:
    write_inputs(tmp_path / "killed")
    write_inputs(tmp_path / "undisturbed")
    return Run(str(tmp_path), "killed")


def _job(run: Run, name: str) -> list[str]:
    align = tiny_align(
        engine="deepspeed",
        precision="bf16",
        zero_stage=2,
        workers=2,
        epochs=EPOCHS,
        validate_every=EPOCHS,
        batch_size=12,
        checkpoint_every=7,
        tasks={"textual": 0.0},
    )
    root = run.path.parent
    settings = Settings(run=RunSettings(root=str(root), name=name), ray=RaySettings(num_cpus=4, threads=1), align=align)
    (root / f"{name}.yaml").write_text(
        yaml.safe_dump(settings.model_dump(mode="json", include={"run", "ray", "align"}))
    )
    return ["pipelines.align", "--config", str(root / f"{name}.yaml")]


def _whole(job: list[str]) -> None:
    subprocess.run([sys.executable, "-m", *job], cwd=REPOSITORY, check=True, capture_output=True)


def _mid_epoch(run: Run) -> Callable[[], bool]:
    """A checkpoint is kept and training has gone on."""
    points = run.path / "logs" / "align" / POINTS
    return lambda: has_checkpoint(run.private("align")) and points.exists() and points.read_text().count("\n") > 20


def _kill_a_worker(job: list[str], reached: Callable[[], bool], log: Path) -> None:
    """Run the job and kill one of its workers once, as soon as ``reached()``; the job must end well by itself."""
    with log.open("w") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", *job], cwd=REPOSITORY, stdout=stream, stderr=stream, start_new_session=True
        )
        try:
            while not reached():
                with pytest.raises(subprocess.TimeoutExpired):  # it has not ended before it could be killed
                    process.wait(POLL_S)
            family = psutil.Process(process.pid).children(recursive=True)
            worker = next(member for member in family if "RayTrainWorker" in " ".join(member.cmdline()))
            os.kill(worker.pid, signal.SIGKILL)
            assert process.wait(600) == 0, log.read_text()
        finally:
            process.terminate()


@pytest.mark.timeout(1500)
@pytest.mark.parametrize("whole_job", [False, True], ids=["worker", "job"])
def test_align_ends_with_the_exact_count_of_targets(run: Run, tmp_path: Path, whole_job: bool) -> None:
    job, log = _job(run, "killed"), tmp_path / "log"
    if whole_job:
        kill_when(job, _mid_epoch(run), log)
        assert not run.artifact("model").exists()
        _whole(job)
    else:
        _kill_a_worker(job, _mid_epoch(run), log)
    assert redone_steps(run.path / "logs" / "align") > 0
    curves = json.loads((run.artifact("model") / "curves.json").read_text())
    assert [point["targets"] for point in curves] == [TARGETS] * EPOCHS

    _whole(_job(run, "undisturbed"))
    other = Run(str(tmp_path), "undisturbed")
    assert redone_steps(other.path / "logs" / "align") == 0
    assert json.loads((other.artifact("model") / "curves.json").read_text()) == curves
    one, two = (load_file(made.artifact("model") / "model.safetensors") for made in (run, other))
    assert one.keys() == two.keys()
    assert all(torch.equal(one[name], two[name]) for name in one)

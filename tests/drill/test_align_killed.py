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

from semconv.training.record import redone_steps
from tests.conftest import REPOSITORY
from tests.drill.align_job import EPOCHS, TARGETS, align_job, assert_same_weights, mid_epoch
from tests.kill import POLL_S, kill_when


def _whole(job: list[str]) -> None:
    subprocess.run([sys.executable, "-m", *job], cwd=REPOSITORY, check=True, capture_output=True)


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
def test_align_ends_with_the_exact_count_of_targets(tmp_path: Path, whole_job: bool) -> None:
    run, job = align_job(tmp_path, "killed")
    log = tmp_path / "log"
    if whole_job:
        kill_when(job, mid_epoch(run), log)
        assert not run.artifact("model").exists()
        _whole(job)
    else:
        _kill_a_worker(job, mid_epoch(run), log)
    assert redone_steps(run.path / "logs" / "align") > 0
    curves = json.loads((run.artifact("model") / "curves.json").read_text())
    assert [point["targets"] for point in curves] == [TARGETS] * EPOCHS

    other, undisturbed = align_job(tmp_path, "undisturbed")
    _whole(undisturbed)
    assert redone_steps(other.path / "logs" / "align") == 0
    assert json.loads((other.artifact("model") / "curves.json").read_text()) == curves
    assert_same_weights(run, other)

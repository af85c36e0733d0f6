"""A precache job killed with kill -9 at 10, 50 and 90%, again and again, until it is left to end."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.precache_kept import done
from semconv.artifacts import Corpus, Manifest, Run, TopKSnapshot
from tests.conftest import REPOSITORY
from tests.kill import kill_when

AT = (0.1, 0.5, 0.9)


def copied(run: Run, root: Path) -> tuple[Run, list[str]]:
    """The run without its snapshot, in a root of its own, and the job that makes one there in many units."""
    shutil.copytree(run.path, root / run.path.name, ignore=shutil.ignore_patterns("topk", ".*"))
    job = ["pipelines.precache", "--config", "tests/tiny.yaml", "--run.root", str(root), "--precache.batch_size", "2"]
    return Run(str(root), run.path.name), job


@pytest.mark.timeout(1800)
def test_a_precache_job_killed_again_and_again_has_every_user_once_and_the_same_bytes(
    tiny_run: Run, tmp_path: Path
) -> None:
    undisturbed, plainly = copied(tiny_run, tmp_path / "undisturbed")
    subprocess.run([sys.executable, "-m", *plainly], cwd=REPOSITORY, check=True, capture_output=True)
    run, job = copied(tiny_run, tmp_path / "killed")
    for share in AT:
        kill_when(job, lambda share=share: done(run) >= share, tmp_path / "log")  # type: ignore[misc]
        assert not run.artifact("topk").exists()
        assert share <= done(run) < 1, "killed too late to show anything"
    subprocess.run([sys.executable, "-m", *job], cwd=REPOSITORY, check=True, capture_output=True)
    snapshot = TopKSnapshot.open(run.artifact("topk"))
    found = [user for batch in snapshot.users() for user in batch["user_id"].to_pylist()]
    assert sorted(found) == sorted(Corpus.open(run.artifact("corpus")).user_ids)
    assert snapshot.fingerprint == Manifest.read(undisturbed.artifact("topk")).fingerprint
    assert done(run) == 0, "what the job kept for itself is gone"

"""align and precache over several nodes of which one goes, in the middle, with all that ran on it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from semconv.artifacts import Corpus, Manifest, Run, TopKSnapshot
from semconv.training.record import redone_steps
from tests.conftest import REPOSITORY
from tests.drill.align_job import EPOCHS, TARGETS, align_job, assert_same_weights, mid_epoch
from tests.drill.test_precache_killed import copied, done
from tests.nodes import Node, Nodes, nodes

POLL_S = 0.05


@contextmanager
def going_on(cluster: Nodes, job: list[str], reached: Callable[[], bool], log: Path) -> Iterator[None]:
    """The job on the cluster: the block begins once it has ``reached`` a point, and afterwards it must end well."""
    with log.open("w") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", *job], cwd=REPOSITORY, env=cluster.environment, stdout=stream, stderr=stream
        )
    try:
        while not reached():
            assert process.poll() is None, f"ended before a node could go:\n{log.read_text()}"
            time.sleep(POLL_S)
        yield
        assert process.wait(900) == 0, log.read_text()
    finally:
        process.kill()


def that_does(name: str, candidates: list[Node]) -> Node:
    """The first of the nodes that has such a process."""
    return next(node for node in candidates if node.processes(name))


@pytest.mark.timeout(1500)
def test_align_on_two_nodes_loses_one_and_ends_on_a_third_with_the_same_weights(tmp_path: Path) -> None:
    other, undisturbed = align_job(tmp_path, "undisturbed")
    subprocess.run([sys.executable, "-m", *undisturbed], cwd=REPOSITORY, check=True, capture_output=True)
    run, job = align_job(tmp_path, "shrinking")
    with nodes(0, 1, 1, 1) as cluster, going_on(cluster, job, mid_epoch(run), tmp_path / "log"):
        at_work = [node for node in cluster.others if node.processes("RayTrainWorker")]
        assert len(at_work) == 2
        at_work[0].kill()
    assert redone_steps(run.path / "logs" / "align") > 0
    curves = json.loads((run.artifact("model") / "curves.json").read_text())
    assert [point["targets"] for point in curves] == [TARGETS] * EPOCHS
    assert json.loads((other.artifact("model") / "curves.json").read_text()) == curves
    assert_same_weights(run, other)


@pytest.mark.timeout(1500)
def test_precache_on_three_nodes_loses_one_and_has_every_user_once_and_the_same_bytes(
    tiny_run: Run, tmp_path: Path
) -> None:
    undisturbed, plainly = copied(tiny_run, tmp_path / "undisturbed")
    subprocess.run([sys.executable, "-m", *plainly], cwd=REPOSITORY, check=True, capture_output=True)
    run, job = copied(tiny_run, tmp_path / "shrinking")
    job += ["--precache.workers", "2"]
    with nodes(1, 1, 1) as cluster, going_on(cluster, job, lambda: 0.2 <= done(run) < 0.8, tmp_path / "log"):
        that_does("RankUnits", cluster.others).kill()
    snapshot = TopKSnapshot.open(run.artifact("topk"))
    found = [user for batch in snapshot.users() for user in batch["user_id"].to_pylist()]
    assert sorted(found) == sorted(Corpus.open(run.artifact("corpus")).user_ids)
    assert snapshot.fingerprint == Manifest.read(undisturbed.artifact("topk")).fingerprint

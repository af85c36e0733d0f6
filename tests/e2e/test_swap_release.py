"""A promotion and a roll-back change what a running service serves, and no request fails."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

from semconv.artifacts import Run, TopKSnapshot
from semconv.artifacts.release import Releases
from tests.e2e.conftest import Command
from tests.e2e.load import Load
from tests.e2e.other_snapshot import write_reversed
from tests.e2e.served import arguments_of, served


def test_promotion_and_roll_back_swap_the_service_under_load(
    tiny_run: Run, snapshot: TopKSnapshot, tmp_path: Path, command: Command
) -> None:
    run, state = Run(str(tmp_path / "runs"), tiny_run.path.name), tmp_path / "state"
    shutil.copytree(tiny_run.path, run.path)
    releases = Releases(str(tmp_path / "releases"))
    # Lookups take microseconds, and the load takes the machine.
    gate = ["--release.store", releases.where, "--release.latency_growth", 1000, "--serve.state", state]

    def release(action: str, *more: object) -> str:
        done = command("pipelines.release", action, *arguments_of(run), *gate, *more)
        assert done.returncode == 0, done.stderr
        return releases.chosen(None).artifacts["topk"]

    assert release("promote") == snapshot.fingerprint
    other = write_reversed(snapshot, run, run.artifact("topk"))
    refused = command("pipelines.release", "promote", *arguments_of(run), *gate, "--release.service")
    assert refused.returncode == 2
    assert "No service of" in refused.stderr
    assert releases.chosen(None).artifacts["topk"] == snapshot.fingerprint
    with served(run, state, "--serve.release", releases.where) as service, Load(service.url, snapshot, other) as load:
        load.reach(200)
        assert load.answers.keys() == {snapshot.fingerprint}
        for action, wanted in (("promote", other), ("rollback", snapshot)):
            assert release(action, "--release.service") == wanted.fingerprint
            before = Counter(load.answers)
            load.reach(200)
            assert (load.answers - before).keys() == {wanted.fingerprint}
        assert load.failures == []

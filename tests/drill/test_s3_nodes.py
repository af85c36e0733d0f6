"""Nodes that share no folder: a run at a URI is made by all of them, each with a mirror on a disk of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from semconv.artifacts import Manifest, Run
from semconv.artifacts.store_files import StoreFiles
from tests.nodes import Nodes
from tests.s3 import ENVIRONMENT, new_bucket, serving

KINDS = ("corpus", "vectors", "behaviour", "base", "tokens", "examples", "model", "blend", "topk")


def own_disk(folder: Path) -> list[str]:
    """A command that runs another which sees an empty disk at ``folder``, as do all processes that it starts."""
    return ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs tmpfs "$0" && exec "$@"', str(folder)]


@pytest.mark.timeout(1500)
def test_nodes_without_a_common_disk_make_what_one_machine_makes(
    tiny_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    if subprocess.run([*own_disk(mirror), "true"], capture_output=True).returncode:
        pytest.skip("a disk of its own for a process needs rights that this user does not have")
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    with serving() as server:
        uri, cluster = new_bucket(server, "runs"), Nodes()
        job = ["-m", "pipelines.run", "--config", "tests/tiny.yaml", "--run.root", uri, "--run.mirror", str(mirror)]
        try:
            cluster.start(0)  # the driver is at the head, and no worker
            for known in (2, 3):
                cluster.start(4, own_disk(mirror))
                cluster.wait_for(known)  # of several that start at once on one machine some end again
            done = cluster.run([sys.executable, *job])
            assert done.returncode == 0, done.stderr
        finally:
            cluster.end()
        run = Run(uri, "tiny", str(tmp_path / "elsewhere"))
        for kind in KINDS:
            manifest = run.manifest(kind)
            assert manifest is not None
            assert manifest.fingerprint == Manifest.read(tiny_run.artifact(kind)).fingerprint, kind
        left = {name.split("/")[0] for name in StoreFiles.open(uri).below("tiny").names()}
        assert left == {*KINDS, "report", "logs"}, "what workers handed over is gone"

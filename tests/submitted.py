"""Jobs that are submitted from a clean clone to a cluster as `ray start` makes it, with a token."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import httpx

from tests.conftest import REPOSITORY
from tests.nodes import SCRIPTS, Nodes

PATIENCE_S = 300.0
OVER = ("SUCCEEDED", "FAILED", "STOPPED")


def wait(holds: Callable[[], bool]) -> None:
    """Until it holds, for five minutes at most."""
    until = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.05)


def clean_clone(target: Path) -> Path:
    """What git would give somebody, this working tree's changes included."""
    listed = ["git", "ls-files", "-co", "--exclude-standard", "-z"]
    names = subprocess.run(listed, cwd=REPOSITORY, check=True, capture_output=True).stdout.decode().split("\0")
    for name in filter(None, names):
        if (REPOSITORY / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            (target / name).write_bytes((REPOSITORY / name).read_bytes())
    return target


class Jobs:
    """Jobs of a cluster, all of them from one folder."""

    def __init__(self, cluster: Nodes, clone: Path) -> None:
        self._clone, self._environment = clone, cluster.environment | {"RAY_ADDRESS": f"http://{cluster.dashboard}"}
        headers = {"Authorization": f"Bearer {cluster.environment['RAY_AUTH_TOKEN']}"}
        url = f"http://{cluster.dashboard}"
        self._client = httpx.Client(base_url=url, headers=headers, timeout=60, trust_env=False)

    def submit(self, name: str, *entrypoint: object) -> None:
        """``ray job submit --working-dir .``; does not wait for the job."""
        options = ["--working-dir", ".", "--no-wait", "--submission-id", name, "--"]
        self._by_command("submit", *options, *map(str, entrypoint))

    def stop(self, name: str) -> None:
        """``ray job stop``, which returns once the job is over."""
        self._by_command("stop", name)

    def stop_at_once(self, name: str) -> None:
        """What ``ray job stop`` asks for, without the seconds that it takes to start."""
        self._client.post(f"/api/jobs/{name}/stop").raise_for_status()

    def about(self, name: str) -> dict[str, Any]:
        """What the cluster says of a job."""
        return dict(self._client.get(f"/api/jobs/{name}").raise_for_status().json())

    def logs(self, name: str) -> str:
        """What a job has printed."""
        return str(self._client.get(f"/api/jobs/{name}/logs").raise_for_status().json()["logs"])

    def ended(self, name: str) -> dict[str, Any]:
        """`about`, once the job is over."""
        wait(lambda: self.about(name)["status"] in OVER)
        return self.about(name)

    def _by_command(self, *words: str) -> None:
        command = [SCRIPTS / "ray", "job", *words]
        done = subprocess.run(command, cwd=self._clone, env=self._environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


@contextmanager
def cluster_for_jobs(cpus: int, environment: Mapping[str, str]) -> Iterator[Nodes]:
    """A head node, whose jobs find ``environment`` and this Python, for the time of the block.

    Jobs join the cluster that was started last below Ray's temporary folder, so this one has a folder of its own.
    """
    cluster, temporary = Nodes(), mkdtemp(prefix="ray-")
    path = f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}"
    cluster.environment |= {"PATH": path, "RAY_TMPDIR": temporary, "RAY_JOB_STOP_WAIT_TIME_S": "60", **environment}
    try:
        cluster.start(cpus)
        cluster.wait_for(1)
        yield cluster
    finally:
        cluster.end()
        shutil.rmtree(temporary, ignore_errors=True)

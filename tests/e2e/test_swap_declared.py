"""The declarative way, as on a cluster: `ray start`, `serve deploy` of the config, and the same again to change it."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import yaml

from semconv.artifacts import Run, TopKSnapshot
from serve.start import free_port, nearby_port
from tests.conftest import REPOSITORY
from tests.e2e.load import Load
from tests.e2e.other_snapshot import write_reversed

PATIENCE_S = 180.0
SCRIPTS = Path(sys.executable).parent


def wait(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.1)


class Cluster:
    """A Ray cluster that knows nothing of the service, but where to import it from."""

    def __init__(self) -> None:
        self.dashboard = f"http://127.0.0.1:{free_port('127.0.0.1', 0)}"
        self._environment = os.environ | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
        ports = ["--port", "0", "--dashboard-port", self.dashboard.rpartition(":")[2]]
        command = ["ray", "start", "--head", "--block", "--num-cpus", "4", "--dashboard-host", "127.0.0.1", *ports]
        self.process = psutil.Process(self._begin(command, stdout=subprocess.DEVNULL).pid)

    def deploy(self, config: Path) -> None:
        """``serve deploy`` the file."""
        assert self._begin(["serve", "deploy", str(config), "--address", self.dashboard]).wait(120) == 0

    def pids(self, name: str) -> set[int]:
        """Processes that have ``name`` in their title."""
        return {one.pid for one in self.process.children(recursive=True) if name in " ".join(one.cmdline())}

    def end(self) -> None:
        """End every process of it."""
        family = self.process.children(recursive=True)
        self.process.send_signal(signal.SIGTERM)
        _, left = psutil.wait_procs([self.process, *family], timeout=30)
        for one in left:
            one.kill()

    def _begin(self, command: list[str], **more: Any) -> subprocess.Popen[bytes]:
        return subprocess.Popen([SCRIPTS / command[0], *command[1:]], cwd=REPOSITORY, env=self._environment, **more)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    started = Cluster()
    try:
        wait(lambda: _listens(started))
        yield started
    finally:
        started.end()


def _listens(cluster: Cluster) -> bool:
    try:
        return bool(httpx.get(cluster.dashboard, timeout=5, trust_env=False))
    except httpx.HTTPError:
        return False


def test_a_deployed_config_answers_through_haproxy_and_another_user_config_is_a_hot_swap(
    cluster: Cluster, tiny_run: Run, snapshot: TopKSnapshot, tmp_path: Path
) -> None:
    other = write_reversed(snapshot, tiny_run, tmp_path / "other")
    config = yaml.safe_load((REPOSITORY / "serve" / "config.yaml").read_text())
    (application,) = config["applications"]
    config["http_options"]["port"] = free_port("127.0.0.1", 0)
    # Another service may have HAProxy's side ports on this machine.
    flags = config["controller_options"]["runtime_env"]["env_vars"]
    flags |= {"RAY_SERVE_HAPROXY_METRICS_PORT": str(nearby_port(9101))}
    flags |= {"RAY_SERVE_HAPROXY_STATS_PORT": str(nearby_port(8404))}
    application["args"]["run"] = str(tiny_run.path.absolute())
    application["args"]["serve"] |= {"state": str(tmp_path / "state"), "live_deadline_s": 60.0}
    url = f"http://127.0.0.1:{config['http_options']['port']}"

    def deploy(chosen: str | None) -> None:
        variant = {"name": "main", "run": str(tiny_run.path.absolute()), "snapshot": chosen}
        for deployment in application["deployments"]:
            deployment["user_config"] = {"variants": [variant]}
        file = tmp_path / "config.yaml"
        file.write_text(yaml.safe_dump(config))
        cluster.deploy(file)

    def status() -> dict[str, Any]:
        try:
            response = httpx.get(f"{url}/v1/status", timeout=10, trust_env=False)
            return dict(response.json()) if response.is_success else {}
        except (httpx.HTTPError, ValueError):
            return {}

    deploy(None)
    wait(lambda: status().get("ingress") == "haproxy")
    wait(lambda: bool(status()["live"]["up"]))
    replicas = cluster.pids("semconv:Gateway"), cluster.pids("semconv:Live")
    assert list(map(len, replicas)) == [2, 1]
    with Load(url, snapshot, other) as load:
        for wanted, chosen in ((other, str(other.path)), (snapshot, None)):
            load.reach(100)
            deploy(chosen)
            enough = load.answers[wanted.fingerprint] + 100
            wait(lambda wanted=wanted, enough=enough: load.answers[wanted.fingerprint] >= enough)  # type: ignore[misc]
    assert load.failures == []
    assert (cluster.pids("semconv:Gateway"), cluster.pids("semconv:Live")) == replicas

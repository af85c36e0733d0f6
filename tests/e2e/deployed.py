"""The service as a cluster has it: declared by serve/config.yaml and handed to Ray by ``serve deploy``."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import yaml

from semconv.artifacts import Run
from serve.start import free_port, nearby_port
from tests.conftest import REPOSITORY
from tests.nodes import SCRIPTS, Nodes

PATIENCE_S = 180.0


def wait(holds: Callable[[], bool]) -> None:
    """Until it holds, for three minutes at most."""
    until = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.1)


class Guard(NamedTuple):
    """Of a service at every address of its nodes: the file of its keys, one of them, and those addresses."""

    file: Path
    key: str
    hosts: tuple[str, ...]

    @property
    def headers(self) -> dict[str, str]:
        """What a request shows."""
        return {"authorization": f"Bearer {self.key}"}


class Deployed:
    """serve/config.yaml over a run, at free ports; of several nodes only the head has HAProxy, or with a guard all."""

    def __init__(self, cluster: Nodes, run: Run, folder: Path, guard: Guard | None = None) -> None:
        self._cluster, self._run, self._file = cluster, str(run.path.absolute()), folder / "config.yaml"
        self._config = yaml.safe_load((REPOSITORY / "serve" / "config.yaml").read_text())
        self.headers = guard.headers if guard else {}
        if cluster.others and guard is None:
            self._config["proxy_location"] = "HeadOnly"
        self.port = self._config["http_options"]["port"] = free_port(cluster.host, 0)
        self.url = f"http://{cluster.host}:{self.port}"
        # Another service may have HAProxy's side ports on this machine.
        self._config["controller_options"]["runtime_env"]["env_vars"] |= {
            "RAY_SERVE_HAPROXY_METRICS_PORT": str(nearby_port(9101)),
            "RAY_SERVE_HAPROXY_STATS_PORT": str(nearby_port(8404)),
        }
        (self._application,) = self._config["applications"]
        self._application["args"]["run"] = self._run
        self._application["args"]["serve"] |= {"state": str(folder / "state"), "live_deadline_s": 60.0}
        if guard is not None:
            self._config["http_options"]["host"] = "0.0.0.0"
            self._application["args"]["serve"] |= {"keys": str(guard.file), "hosts": list(guard.hosts)}

    def deploy(self, snapshot: Path | None, **environment: str) -> subprocess.CompletedProcess[str]:
        """Deploy the config with this snapshot, or with the run's own."""
        variant = {"name": "main", "run": self._run, "snapshot": str(snapshot) if snapshot else None}
        for deployment in self._application["deployments"]:
            deployment["user_config"] = {"variants": [variant]}
        self._file.write_text(yaml.safe_dump(self._config))
        return self._serve("deploy", self._file, **environment)

    def runs(self) -> bool:
        """Whether Ray Serve has every replica that the config asks for; not while nobody answers."""
        told = self._serve("status")
        found = yaml.safe_load(told.stdout)["applications"] if told.returncode == 0 else {}
        return bool(found) and all(one["status"] == "RUNNING" for one in found.values())

    def status(self) -> dict[str, Any]:
        """What one of the replicas says; nothing while none answers."""
        try:
            response = httpx.get(f"{self.url}/v1/status", headers=self.headers, timeout=10, trust_env=False)
            return dict(response.json()) if response.is_success else {}
        except (httpx.HTTPError, ValueError):
            return {}

    def _serve(self, *command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        address = ["--address", f"http://{self._cluster.dashboard}"]
        return self._cluster.run([SCRIPTS / "serve", *command, *address], **environment)


def deployed(cluster: Nodes, run: Run, folder: Path, guard: Guard | None = None) -> Deployed:
    """Deployed and answering behind HAProxy, live model and all."""
    application = Deployed(cluster, run, folder, guard)
    done = application.deploy(None)
    assert done.returncode == 0, done.stderr
    wait(lambda: application.status().get("ingress") == "haproxy")
    wait(application.runs)  # the ingress answers as soon as one replica does
    wait(lambda: bool(application.status()["live"]["up"]))
    return application

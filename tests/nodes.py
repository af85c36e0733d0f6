"""Several Ray nodes on one machine, each a raylet with its own processes, under a token that nothing else has."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from serve.start import free_port
from tests.conftest import REPOSITORY

SCRIPTS = Path(sys.executable).parent
LOCAL = "127.0.0.1"
START_S = 120
COUNTS = "import ray; ray.init(logging_level='ERROR'); print(sum(node['Alive'] for node in ray.nodes()))"


class Node:
    """One of them: ``ray start --block`` and all that came of it."""

    def __init__(self, process: psutil.Process) -> None:
        self._process = process

    def processes(self, name: str) -> list[psutil.Process]:
        """Its processes that have ``name`` in their command line or title."""
        found = []
        for one in self._process.children(recursive=True):
            with suppress(psutil.Error):  # it has ended since
                if name in " ".join(one.cmdline()):
                    found.append(one)
        return found

    def ends(self) -> bool:
        """Ask it to leave, as `ray stop` does, and wait; whether it did so by itself."""
        self._process.send_signal(signal.SIGTERM)
        return not psutil.wait_procs([self._process], timeout=90)[1]

    def kill(self) -> None:
        """Kill all of it at once, as when a machine goes."""
        self._process.suspend()  # or it would go on while its family is looked up
        family = [self._process, *self._process.children(recursive=True)]
        for one in family:
            with suppress(psutil.NoSuchProcess):
                one.kill()
        psutil.wait_procs(family, timeout=60)


class Nodes:
    """A cluster; the first node is its head, at ``host``. ``environment`` is of those who may use it."""

    def __init__(self, host: str = LOCAL) -> None:
        self.host = host
        self.address, self.dashboard = f"{host}:{free_port(host, 0)}", f"{host}:{free_port(host, 0)}"
        token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
        self.environment = os.environ | token | {"RAY_ADDRESS": self.address}
        self._started: list[Node] = []

    @property
    def head(self) -> Node:
        """The first."""
        return self._started[0]

    @property
    def others(self) -> list[Node]:
        """All but the head."""
        return self._started[1:]

    def start(
        self, cpus: int, within: Sequence[str | Path] = (), host: str | None = None, more: Sequence[str | Path] = ()
    ) -> Node:
        """One node more; ``within`` is a command that runs another, ``host`` the address that the node has there.

        ``more`` are further options of ``ray start``.
        """
        port, dashboard = (address.rpartition(":")[2] for address in (self.address, self.dashboard))
        place = ["--address", self.address]
        if not self._started:
            place = ["--head", "--port", port, "--dashboard-host", self.host, "--dashboard-port", dashboard]
        agent = ["--dashboard-agent-listen-port", str(free_port(LOCAL, 0))]
        command = ["start", *place, *agent, "--node-ip-address", host or self.host, "--num-cpus", str(cpus), "--block"]
        without = {name: value for name, value in self.environment.items() if name != "RAY_ADDRESS"}
        process = subprocess.Popen(
            [*within, SCRIPTS / "ray", *command, *more],
            cwd=REPOSITORY,
            env=without,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._started.append(Node(psutil.Process(process.pid)))
        return self._started[-1]

    def wait_for(self, nodes: int) -> None:
        """Until so many are known as alive."""
        until, told = time.monotonic() + START_S, ""
        while time.monotonic() < until:
            found = self.run([sys.executable, "-c", COUNTS])
            if found.stdout.strip() == str(nodes):
                return
            told = found.stdout + found.stderr  # the head may not listen yet
        raise AssertionError(f"{nodes} nodes were not up in {START_S} s: {told}")

    def run(self, command: Sequence[str | Path], **environment: str) -> subprocess.CompletedProcess[str]:
        """A command of somebody who may use the cluster, but for what ``environment`` changes."""
        chosen = self.environment | environment
        return subprocess.run(
            command, cwd=REPOSITORY, env=chosen, capture_output=True, text=True, timeout=600, check=False
        )

    def end(self) -> None:
        """Kill them all: asked to end, a node would first wait half a minute for what runs on it."""
        for node in reversed(self._started):
            with suppress(psutil.NoSuchProcess):
                node.kill()


@contextmanager
def nodes(*cpus: int) -> Iterator[Nodes]:
    """A cluster of nodes with so many logical CPUs each, the head first, for the time of the block."""
    cluster = Nodes()
    try:
        for known, count in enumerate(cpus, start=1):
            cluster.start(count)
            cluster.wait_for(known)  # of several that start at once on one machine some end again
        yield cluster
    finally:
        cluster.end()

"""The service as a person starts it: by its command, in a process of its own, and gone without a trace afterwards."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import httpx
import psutil

from semconv.artifacts import Run
from tests.conftest import REPOSITORY, run_module

START_S, END_S = 240.0, 60.0


class Service(NamedTuple):
    """Base URL of a running service, its process, and the arguments that name its run and state to any command."""

    url: str
    process: psutil.Process
    arguments: list[str]

    @property
    def state(self) -> Path:
        """Its folder of what outlives a restart."""
        return Path(self.arguments[self.arguments.index("--serve.state") + 1])

    def client(self, **more: object) -> httpx.Client:
        """A client of its own connections, patient with a busy machine."""
        return httpx.Client(base_url=self.url, timeout=120, trust_env=False, **more)  # type: ignore[arg-type]

    def processes(self, name: str) -> list[psutil.Process]:
        """What was started for the service and has ``name`` in its command line or title."""
        found = []
        for one in self.process.children(recursive=True):
            with suppress(psutil.Error):  # it has ended since
                if name in " ".join(one.cmdline()):
                    found.append(one)
        return found

    def command(self, module: str, *more: object) -> subprocess.CompletedProcess[str]:
        """Run ``python -m MODULE`` with the service's settings."""
        return run_module(module, *self.arguments, *more)


def arguments_of(run: Run, *more: object) -> list[str]:
    """Settings of the smallest shop for this run of it, with a deadline that a busy test machine can keep."""
    config = ["--config", str(REPOSITORY / "tests" / "tiny.yaml"), "--run.root", str(run.path.parent.absolute())]
    return [*config, "--serve.live_deadline_s", "60", *map(str, more)]


@contextmanager
def served(run: Run, state: Path, *more: object, environment: Mapping[str, str] | None = None) -> Iterator[Service]:
    """``python -m serve.run`` for the time of the block, with its state in ``state``; it has to end well, and whole."""
    arguments = arguments_of(run, "--serve.state", state, *more)
    program = [sys.executable, "-m", "serve.run", *arguments, "--serve.port", "0"]
    log = state.parent / f"{state.name}.log"
    own = os.environ | (environment or {})
    with log.open("w") as errors:
        process = subprocess.Popen(program, cwd=REPOSITORY, env=own, stdout=subprocess.PIPE, stderr=errors, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r" at (http://\S+)", line)
        assert found is not None, f"{line}{log.read_text()}"
        watched = psutil.Process(process.pid)
        yield Service(found[1], watched, arguments)
        family = watched.children(recursive=True)
    except BaseException:
        process.kill()
        raise
    process.send_signal(signal.SIGTERM)
    assert process.wait(END_S) == 0, log.read_text()
    assert "Traceback" not in log.read_text()
    assert family
    _, left = psutil.wait_procs(family, timeout=30)
    assert not left

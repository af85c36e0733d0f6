"""The service as a person starts it, in a process of its own: how soon it answers, and behind another proxy."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import yaml

from benchmarks.serving_hits import first_answer
from benchmarks.shop import REPOSITORY
from semconv.config import Settings
from semconv.errors import ResourceError
from serve.args import base_url
from serve.start import free_port

END_S = 120.0
"""Longest wait for all its processes to be gone."""


class Started(NamedTuple):
    """Base URL of a service, and seconds from the start of its process to its first cached answer."""

    url: str
    seconds: float


@contextmanager
def started(settings: Settings, path: str, scratch: Path) -> Iterator[Started]:
    """``python -m serve.run`` with these settings for the time of the block; ``path`` is of a known user's list."""
    port = free_port(settings.serve.host, 0)
    config = scratch / f"served-{port}.yaml"
    tree = settings.model_copy(update={"serve": settings.serve.model_copy(update={"port": port})})
    config.write_text(yaml.safe_dump(tree.model_dump(mode="json")))
    program = [sys.executable, "-m", "serve.run", "--config", str(config)]
    url = base_url(settings.serve.host, port)
    began = time.perf_counter()
    with subprocess.Popen(program, cwd=REPOSITORY, stdout=subprocess.DEVNULL) as process:
        try:
            answer = json.loads(first_answer(f"{url}{path}", lambda: process.poll() is None))
            if answer["source"] != "cache":
                raise ResourceError(f"A known user was answered from {answer['source']}", "See the service's log")
            yield Started(url, time.perf_counter() - began)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(END_S)

"""Requests from this machine to a service on its loopback address, by wrk: as many as it takes, or at a fixed rate.

wrk is a Debian package. Every run ends after a given time.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections import Counter
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from semconv.errors import ResourceError
from serve.args import is_loopback

SCRIPT = Path(__file__).with_name("serving.lua")
GRACE_S = 60.0
"""Beyond the time that a load was to take, before it is ended."""


class Load(NamedTuple):
    """What came back: ``errors`` are requests without a good answer; ``answers`` counts kinds, if told."""

    requests: int
    rps: float
    p50_ms: float
    p99_ms: float
    errors: int
    answers: Mapping[str, int] = {}


class Asking(AbstractContextManager["Asking"]):
    """Lines of ``paths`` (a file, see `serving.lua`), drawn at random, below ``url``; under way in the block.

    ``rate``: requests a second over all connections, due at even times in steps of 1 ms; 0: one after another on each.
    ``told``: count the answers by "status source snapshot model order", fingerprints by 12 digits; order: falling or
    rising scores.
    """

    def __init__(
        self, url: str, paths: Path, *, connections: int, seconds: int, rate: float = 0, told: bool = False
    ) -> None:
        self._limit_s = seconds + GRACE_S
        timing = ["-t", "1", "-c", str(connections), "-d", f"{seconds}s", "--timeout", "20s"]
        asked = ["-s", str(SCRIPT), _loopback(url), str(paths), f"{rate:.6f}", *(["told"] if told else [])]
        self._program = [_tool("wrk"), *timing, *asked]

    def __enter__(self) -> Asking:
        self._process = subprocess.Popen(self._program, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        return self

    def load(self) -> Load:
        """Wait for its end."""
        printed, errors = self._process.communicate(timeout=self._limit_s)
        if self._process.returncode:
            raise subprocess.CalledProcessError(self._process.returncode, self._program, printed, errors)
        return wrk_load(printed)

    def __exit__(self, *error: object) -> None:
        self._process.kill()
        self._process.communicate()


def ask(url: str, paths: Path, *, connections: int, seconds: int, rate: float = 0, told: bool = False) -> Load:
    """What comes back of an `Asking`."""
    with Asking(url, paths, connections=connections, seconds=seconds, rate=rate, told=told) as asking:
        return asking.load()


def wrk_load(printed: str) -> Load:
    """What `serving.lua` prints in the end."""
    told = json.loads(printed.strip().splitlines()[-1])
    requests, errors = told["requests"], sum(told[name] for name in ("refused", "broken", "late", "bad"))
    seconds = told["duration_us"] / 1e6
    return Load(requests, requests / seconds, told["p50_us"] / 1e3, told["p99_us"] / 1e3, errors, told["answers"])


def by_source(load: Load) -> dict[str, int]:
    """Answers by status and source."""
    found: Counter[str] = Counter()
    for kind, count in load.answers.items():
        found[" ".join(kind.split()[:2])] += count
    return dict(found)


def require_cached(load: Load) -> Load:
    """The load, if all of its answers were good ones, and from the cache so far as that was told; else `ResourceError`.

    A service that refuses, or answers from a lower rung, would be measured as a fast one.
    """
    others = {kind: count for kind, count in by_source(load).items() if kind != "200 cache"}
    if load.errors or others:
        raise ResourceError(
            f"Of {load.requests} requests for what is cached {load.errors} failed, and others came as {others}",
            "See the service's log",
        )
    return load


def _loopback(url: str) -> str:
    if not is_loopback(urlsplit(url).hostname or ""):
        raise ValueError(f"{url} is not on this machine")
    return url


def _tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise ResourceError(f"The load generator {name} is not installed", f"Install it: apt-get install {name}")
    return found

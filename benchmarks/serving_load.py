"""Requests from this machine to a service on its loopback address: as many as it takes (wrk), or at a fixed rate (hey).

Both are Debian packages. Every run ends after a given time or number of requests.
"""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import numpy as np

from semconv.errors import ResourceError
from serve.args import is_loopback

SCRIPT = Path(__file__).with_name("serving.lua")
GRACE_S = 60.0
"""Beyond the time that a load was to take, before it is ended."""


class Load(NamedTuple):
    """What came back: ``errors`` are requests without an answer of status 200; ``answers`` counts kinds, if told."""

    requests: int
    rps: float
    p50_ms: float
    p99_ms: float
    errors: int
    answers: Mapping[str, int] = {}


def saturate(url: str, paths: Path, *, connections: int, seconds: int, told: bool = False) -> Load:
    """Ask for ``paths`` (a file, see `serving.lua`) below ``url``, one request after another on each connection.

    ``told``: count the answers by "status source snapshot model", fingerprints by 12 digits.
    """
    timing = ["-t", "1", "-c", str(connections), "-d", f"{seconds}s", "--timeout", "20s"]
    asked = ["-s", str(SCRIPT), _loopback(url), str(paths), *(["told"] if told else [])]
    program = [_tool("wrk"), *timing, *asked]
    done = subprocess.run(program, capture_output=True, text=True, timeout=seconds + GRACE_S, check=True)
    return wrk_load(done.stdout)


def wrk_load(printed: str) -> Load:
    """What `serving.lua` prints in the end."""
    told = json.loads(printed.strip().splitlines()[-1])
    requests, errors = told["requests"], sum(told[name] for name in ("refused", "broken", "late", "bad"))
    seconds = told["duration_us"] / 1e6
    return Load(requests, requests / seconds, told["p50_us"] / 1e3, told["p99_us"] / 1e3, errors, told["answers"])


class Paced(AbstractContextManager["Paced"]):
    """``rate`` requests a second for ``seconds``, spread over ``connections``; under way in the block, told by `load`.

    ``post``: file of a JSON body that every request sends.
    """

    def __init__(self, url: str, *, rate: float, connections: int, seconds: float, post: Path | None = None) -> None:
        self._asked = connections * max(1, round(rate * seconds / connections))
        self._limit_s = seconds + GRACE_S
        sent = [] if post is None else ["-m", "POST", "-T", "application/json", "-D", str(post)]
        paced = ["-n", str(self._asked), "-c", str(connections), "-q", f"{rate / connections:.3f}"]
        self._program = [_tool("hey"), *paced, "-t", "20", "-o", "csv", *sent, _loopback(url)]

    def __enter__(self) -> Paced:
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        self._process = subprocess.Popen(self._program, text=True, **pipes)  # type: ignore[call-overload]
        return self

    def load(self) -> Load:
        """Wait for its end. Times are in steps of 0.1 ms."""
        printed, errors = self._process.communicate(timeout=self._limit_s)
        if self._process.returncode:
            raise subprocess.CalledProcessError(self._process.returncode, self._program, printed, errors)
        return hey_load(printed, self._asked)

    def __exit__(self, *error: object) -> None:
        self._process.kill()
        self._process.communicate()


def paced(url: str, *, rate: float, connections: int, seconds: float, post: Path | None = None) -> Load:
    """What comes back of a `Paced` load."""
    with Paced(url, rate=rate, connections=connections, seconds=seconds, post=post) as load:
        return load.load()


def hey_load(printed: str, asked: int) -> Load:
    """The CSV that hey prints: a row an answer, with seconds and status; requests without an answer have none."""
    rows = list(csv.DictReader(io.StringIO(printed)))
    good = [row for row in rows if row["status-code"] == "200"]
    if not good:
        raise ResourceError("No request was answered with 200", "See the service's log")
    taken_ms = [1e3 * float(row["response-time"]) for row in good]
    ended = max(float(row["offset"]) + float(row["response-time"]) for row in good)
    p50, p99 = np.percentile(taken_ms, (50, 99), method="inverted_cdf").tolist()
    return Load(asked, len(good) / ended, p50, p99, asked - len(good))


def _loopback(url: str) -> str:
    if not is_loopback(urlsplit(url).hostname or ""):
        raise ValueError(f"{url} is not on this machine")
    return url


def _tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise ResourceError(f"The load generator {name} is not installed", f"Install it: apt-get install {name}")
    return found

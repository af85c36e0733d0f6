"""How requests come in: Ray Serve's flags for HAProxy, which hold for processes that begin with them only.

python -m serve.ingress ray start --head
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal, NoReturn

from semconv.command import status_of
from semconv.errors import ResourceError, SettingError

Mode = Literal["haproxy", "python"]

ENABLED = "RAY_SERVE_ENABLE_HA_PROXY"
HAPROXY = {
    ENABLED: "1",
    # The replica's own loop runs the application: one thread less to hand each request to.
    "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
    # Otherwise a Python process parses a line for each request; the gateways count requests themselves.
    "RAY_SERVE_HAPROXY_METRICS_ENABLED": "0",
}
"""What makes Serve answer through HAProxy."""
DEFAULTS = {
    # Else HAProxy tells port 514 of every request, path and all, and so of every user who is asked for.
    "RAY_SERVE_HAPROXY_LOG_TARGET": "/dev/null",
    # A client that has begun a request and sends no more keeps its place for an hour otherwise.
    "RAY_SERVE_HAPROXY_TIMEOUT_CLIENT_S": "60",
    # Three failed checks in a row and the proxy is started anew: after 6 s instead of 30.
    "RAY_SERVE_PROXY_HEALTH_CHECK_PERIOD_S": "2",
    # A machine that is busy starts a proxy late; one that is given up after 5 s is started from the beginning.
    "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "30",
    # A replica that goes stays reachable until each HAProxy has dropped it, which takes a reload: 0.6 s.
    "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "2",
}
"""What makes HAProxy discreet, and Serve recover and stop sooner; a person's own values come first."""

FRONT = {"RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": "serve.front.middlewares"}
"""What stands before Serve wherever this application's requests come in; not for proxies that other ones share."""
ASLEEP = {"OMP_WAIT_POLICY": "passive"}
"""Compute threads of a live replica that wait for work leave the cores to what answers beside it."""
SIDE_PORTS = {"HAPROXY_METRICS_PORT": 9101, "HAPROXY_STATS_PORT": 8404, "FALLBACK_PROXY_HTTP_PORT": 8500}
"""HAProxy's metrics and statistics, on all interfaces, and the proxy that it falls back to, on the service's own."""


def flags(haproxy: bool) -> dict[str, str]:
    """The environment of every process of Serve, and so best of Ray itself."""
    own = {name: value for name, value in DEFAULTS.items() if name not in os.environ}
    return own | (HAPROXY if haproxy else dict.fromkeys(HAPROXY, "0"))


def alone(folder: Path, free: Callable[[int], int]) -> dict[str, str]:
    """The environment of a cluster on a machine where others may have accounts, or clusters of their own.

    ``folder``: for HAProxy's files, by default in /tmp, where anybody could have put them, with a socket that anybody
    may command; its path must be short. ``free``: the port that it is given, or another where that one is taken.
    """
    files = {
        "CONFIG_FILE_LOC": "haproxy.cfg",
        "SOCKET_PATH": "admin.sock",
        "METRICS_SOCKET_PATH": "metrics.sock",
        "SERVER_STATE_BASE": "state",
        "SERVER_STATE_FILE": "state/server-state",
    }
    places = {f"RAY_SERVE_HAPROXY_{name}": str(folder / file) for name, file in files.items()}
    return places | {f"RAY_SERVE_{name}": str(free(port)) for name, port in SIDE_PORTS.items()}


def mode(environment: Mapping[str, str] = os.environ) -> Mode:
    """What answers in front of a process of this environment."""
    return "haproxy" if environment.get(ENABLED) == "1" else "python"


def main(command: Sequence[str]) -> NoReturn:
    """Become ``command``, with the flags in its environment; exit 2 with one message where that cannot be."""
    raise SystemExit(status_of(lambda: become(command), "serve.ingress"))


def become(command: Sequence[str]) -> NoReturn:
    """See `main`; raises `SettingError` without a command, `ResourceError` where it cannot be run."""
    if not command:
        raise SettingError("There is no command to run", "Try python -m serve.ingress ray start --head")
    try:
        os.execvpe(command[0], list(command), os.environ | flags(haproxy=True))
    except OSError as error:
        raise ResourceError(f"{command[0]} cannot be run: {error}", "Install it, or give its path") from None


if __name__ == "__main__":
    main(sys.argv[1:])

"""Whether ports are free, and whether a cluster that is to be joined answers."""

from __future__ import annotations

import re
import socket

from semconv.config import Settings
from semconv.errors import ResourceError

STATISTICS_PORT = 8404
"""Where HAProxy, as Ray Serve starts it, shows its statistics."""
TIMEOUT_S = 2.0


def cluster(settings: Settings) -> str:
    """Something listens at the address of the cluster."""
    address = settings.ray.joined
    if address is None:
        return "one is started here for the time of a run"
    found = re.fullmatch(r"(?:\w+://)?(\[[^\]]+\]|[^:/]+):(\d+)/?", address)
    if found is None:
        return f"{address} is looked up by Ray"
    host, port = found[1].strip("[]"), int(found[2])
    try:
        socket.create_connection((host, port), timeout=TIMEOUT_S).close()
    except OSError as error:
        raise ResourceError(
            f"Nothing answers at {address}: {error}",
            "Start the cluster (docs/cluster.md), open the port between the machines, or leave ray.address unset",
        ) from None
    return f"{address} answers"


def ports(settings: Settings) -> str:
    """The service could listen: its own port, and the one that HAProxy takes beside it, are free."""
    wanted = {"--serve.port": (settings.serve.host, settings.serve.port)}
    if settings.serve.haproxy:
        wanted["RAY_SERVE_HAPROXY_STATS_PORT"] = ("0.0.0.0", STATISTICS_PORT)
    for name, (host, port) in wanted.items():
        if not _free(host, port):
            raise ResourceError(
                f"{host}:{port} cannot be listened on: something does already, or the address is not this machine's",
                f"Stop what listens there (is the service running?), or choose another by {name}",
            )
    return ", ".join(f"{host}:{port} is free" for host, port in wanted.values())


def _free(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True

"""Starting the service on this machine, and ending it again without leftovers."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from ray import serve
from ray.serve.config import HTTPOptions, ProxyLocation

from pipelines.cluster import cluster
from semconv.config import Settings
from semconv.errors import ResourceError
from semconv.recommend.load import open_recommender
from serve.app import LOGGING, application
from serve.args import Args, open_snapshot
from serve.live import Opener

NAME = "semconv"


@contextmanager
def service(settings: Settings, opener: Opener = open_recommender) -> Iterator[str]:
    """The service over the artifacts of these settings' run, for the time of the block; gives its base URL.

    A cluster that was started for it ends with it; on any other, Serve itself and other applications are left alone.
    Raises `ArtifactError` when artifacts are absent or do not belong together, `ResourceError` when the port is taken.
    """
    args = Args.of(settings)
    open_snapshot(args)
    host = settings.serve.host
    port = free_port(host, settings.serve.port)
    with cluster(settings.ray):
        options = HTTPOptions(host=host, port=port)
        serve.start(proxy_location=ProxyLocation.HeadOnly, http_options=options, logging_config=LOGGING)
        try:
            serve.run(application(args, opener), name=NAME, route_prefix="/")
            yield f"http://{f'[{host}]' if ':' in host else host}:{port}"
        finally:
            serve.delete(NAME)


def free_port(host: str, port: int) -> int:
    """``port``, or a free one for 0; raises `ResourceError` when the service could not listen there."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            taken = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be listened on: {error}"
            raise ResourceError(
                f"{host}:{port} {taken}", "Stop what listens there, or choose another --serve.port or --serve.host"
            ) from None
        return int(probe.getsockname()[1])

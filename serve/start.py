"""Starting the service on this machine, and ending it again without leftovers."""

from __future__ import annotations

import errno
import os
import socket
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

import ray

from pipelines.cluster import cluster
from pipelines.quiet import quieten
from semconv.artifacts import Run
from semconv.config import Settings
from semconv.errors import ResourceError, SemconvError
from serve import ingress
from serve.args import Args, Variants, base_url
from serve.bundle import open_snapshot, run_of
from serve.last_good import LastGood
from serve.running import Running


@contextmanager
def service(settings: Settings) -> Iterator[str]:
    """The service over the artifacts of these settings' run, for the time of the block; gives its base URL.

    A cluster that was started for it ends with it; on any other, Serve itself and other applications are left alone.
    Raises `ArtifactError` when artifacts are absent or do not belong together and nothing was served before,
    `SettingError` for an address that others can reach without keys, `ResourceError` when the port is taken.
    """
    args = Args.of(settings)
    args.check()
    variants = settled(args)
    found = args.model_copy(update={"serve": args.serve.model_copy(update={"release": None})})  # `variants` say which
    host, port = settings.serve.host, free_port(settings.serve.host, settings.serve.port)
    url = base_url(host, port)
    joins = bool(ray.is_initialized() or settings.ray.joined)
    flags = ingress.flags(settings.serve.haproxy)
    with ThreadPoolExecutor(1) as beside, tempfile.TemporaryDirectory(prefix="semconv-") as private:
        imported = beside.submit(import_module, "serve.declared")  # Ray Serve takes as long as Ray takes to start
        of_replicas = flags | ingress.FRONT | ingress.ASLEEP
        own = {} if joins else of_replicas | ingress.alone(Path(private), nearby_port)
        with cluster(settings.ray, own):
            declared = imported.result()
            quieten(settings.ray.verbose)
            of_serve, of_replicas = (flags, of_replicas) if joins else ({}, {})
            running = Running(url, ray.get_runtime_context().gcs_address, os.environ.get("RAY_AUTH_TOKEN", ""))
            try:
                declared.start(declared.declared(found, variants, of_replicas), host, port, of_serve)
                with running.kept(args.state):
                    yield url
            finally:
                declared.end(everything=not joins)


def settled(args: Args) -> Variants:
    """What ``args`` ask to serve, of stores the versions that are current now.

    Raises `ArtifactError` where it cannot be served and nothing was served before; the replicas decide about the rest.
    """
    try:
        variants = args.variants.pinned()
        if Run.at(str(args.run)).exists():
            args.make_state()
        for variant in variants.variants:
            open_snapshot(run_of(variant), variant.snapshot, args.cache)
    except SemconvError:
        before = LastGood(args.state).read()
        if not before:
            raise
        return args.variants if args.serve.release is None else before[0]
    return variants


def nearby_port(port: int) -> int:
    """``port`` if any address of this machine could listen there, else a free one."""
    try:
        return free_port("0.0.0.0", port)
    except ResourceError:
        return free_port("0.0.0.0", 0)


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

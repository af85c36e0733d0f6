"""What a replica finds around it and its own settings do not know: where Serve listens, and on how many machines."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from typing import Any

import ray
from ray.serve._private.constants import SERVE_CONTROLLER_NAME, SERVE_NAMESPACE

from serve.args import Args

log = logging.getLogger("ray.serve")


async def look_around(args: Args) -> None:
    """Raise `SettingError` where other machines reach the service and nobody needs a key; warn of a log that is split.

    Where Serve listens is ``http_options.host`` of whoever started it, which the application's own ``args`` need not
    repeat.
    """
    controller = ray.get_actor(SERVE_CONTROLLER_NAME, namespace=SERVE_NAMESPACE)
    options = await controller.get_http_config.remote()
    args.check(options.host or args.serve.host)
    if args.serve.events is None:
        warn_of(machines(await asyncio.to_thread(ray.nodes)))


def machines(nodes: Iterable[Mapping[str, Any]]) -> set[str]:
    """Names of the machines that replicas may run on, out of what `ray.nodes` gives."""
    return {node["NodeManagerHostname"] for node in nodes if node["Alive"] and node["Resources"].get("CPU")}


def warn_of(found: set[str]) -> None:
    """Say that events in SQLite are one machine's, where there are others."""
    if len(found) > 1:
        log.warning(
            "events, stock changes and erasures lie in SQLite, a file of one machine, and replicas may run on %d: "
            "name a Redis server as serve.events, or each machine has a log of its own",
            len(found),
        )

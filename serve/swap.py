"""Changes what a running service serves, without a request lost; the service itself decides whether it can.

python -m serve.swap --config configs/demo.yaml                                    # the run's snapshot as it is now
python -m serve.swap --config configs/demo.yaml --serve.snapshot s3://shop/topk    # the current version of a store
python -m serve.swap --config configs/demo.yaml --serve.snapshot 's3://shop/topk#VERSION'    # back to an earlier one

What the service refuses it does not serve: it goes on with what it had, here and after a restart.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import import_module
from typing import Any

from semconv.cli import main
from semconv.config import Settings
from semconv.errors import ArtifactError, ResourceError
from serve.args import Args, Variants
from serve.running import Running

LOOK_S = 0.2
WAIT_S = 600.0
"""Longest wait for the replicas to open, verify and swap."""

Outcome = dict[str, Any]


def swap(variants: Variants) -> list[Outcome]:
    """Have the service of this cluster serve ``variants``; the outcome at each of its ingress replicas.

    Raises `ArtifactError` where a replica refuses, and `ResourceError` where no service runs or it comes to no end.
    Then, or when it is interrupted, what was there before is asked for again, so that replicas agree, later ones too.
    """
    from serve.declared import change

    before = change(variants)
    try:
        found = _outcomes(variants.as_json())
        refused = [outcome["refused"]["reason"] for outcome in found if outcome["served"] != variants.as_json()]
        if refused:
            raise ArtifactError(
                f"The service refused, and goes on with what it served: {refused[0]}", "Mend that first"
            )
    except BaseException:
        change(before)
        raise
    return found


def _outcomes(wanted: Outcome) -> list[Outcome]:
    """What each replica has come to, once all have."""
    from ray import serve

    from serve.declared import DEPLOYMENTS, NAME

    handle = serve.get_app_handle(NAME)

    async def ask(times: int) -> list[Outcome]:
        return await asyncio.gather(*(handle.outcome.remote() for _ in range(times)))

    done: dict[str, Outcome] = {}
    until = time.monotonic() + WAIT_S
    while time.monotonic() < until:
        replicas = serve.status().applications[NAME].deployments[DEPLOYMENTS[0]].replica_states.get("RUNNING", 0)
        # Which of them answers is drawn by lot.
        answers = asyncio.run(ask(4 * replicas))
        done |= {answer["replica"]: answer for answer in answers if answer["asked"] == wanted}
        if replicas and len(done) >= replicas:
            return list(done.values())
        time.sleep(LOOK_S)
    raise ResourceError(
        f"The replicas of the service have not swapped within {WAIT_S:g} s", "See serve status and the service's log"
    )


@contextmanager
def connected(settings: Settings) -> Iterator[None]:
    """A connection to the cluster that serves the run of these settings; raises `ResourceError` where there is none."""
    ray = settings.ray
    if not ray.joined:
        running = Running.read(Args.of(settings).state)
        if running is None:
            raise ResourceError(
                f"No service of {Args.of(settings).run} runs on this machine",
                "Start it with python -m serve.run and the same settings, or name its cluster with --ray.address",
            )
        ray = ray.model_copy(update={"address": running.address})
        if running.token:
            os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": running.token}
    from pipelines.cluster import cluster  # Ray reads how it is to authenticate when it is imported

    import_module("serve.declared")  # Serve too, before Ray is hushed
    with cluster(ray):
        yield


def run(settings: Settings) -> None:
    """Swap, and say what is served now."""
    variants = Args.of(settings).variants.pinned().model_copy(update={"at": datetime.now(UTC).isoformat()})
    with connected(settings):
        found = swap(variants)
    print(f"{len(found)} replicas have swapped")
    for name, versions in found[0]["versions"].items():
        print(f"  {name}: snapshot {versions['snapshot'][:12]}, model {versions['model'][:12]}")


if __name__ == "__main__":
    main(run, "serve.swap")

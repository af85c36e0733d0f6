"""A job on a cluster that starts nodes of one GPU by itself, two at most: what it was given and told, as JSON."""

from __future__ import annotations

import json

import ray
import ray.data

from pipelines.room import Room
from semconv.errors import ResourceError

TOLD: list[str] = []


def gpus_for(room: Room, workers: int) -> bool | str:
    """Whether there are as many GPUs as workers, or what the refusal says."""
    try:
        return room.gpus_for("align.workers", workers)
    except ResourceError as error:
        return str(error)


def report(_done: float, _total: float, note: str = "") -> None:
    """Keep what is told."""
    TOLD.append(note)


if __name__ == "__main__":
    ray.init(log_to_driver=False)
    ray.data.range(1).count()  # from now on Ray Data writes its own requests for nodes over everybody's
    found = {"at once": gpus_for(Room(), 2), "in time": gpus_for(Room(120, report), 2)}
    print(json.dumps(found | {"too many": gpus_for(Room(5, report), 3), "told": sorted(set(TOLD))}))

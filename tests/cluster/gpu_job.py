"""Pools of actors on a cluster of four logical CPUs and two logical GPUs: what each actor was given, as JSON."""

from __future__ import annotations

import json
import time
from typing import Any

import ray
import ray.data

from pipelines.actors import Pool
from pipelines.room import Room


class Given:
    """Says which GPUs it has, slowly enough for every actor of the pool to get some work."""

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        time.sleep(1)
        return {"gpus": [",".join(ray.get_runtime_context().get_accelerator_ids()["GPU"])]}


def given(pool: Pool) -> list[str]:
    """The GPUs of each actor that got work."""
    asked = ray.data.range(8, override_num_blocks=8).map_batches(Given, batch_size=1, **pool.arguments)
    return sorted({row["gpus"] for row in asked.take_all()})


if __name__ == "__main__":
    ray.init("local", num_cpus=4, num_gpus=2, include_dashboard=False, log_to_driver=False)
    print(json.dumps({count: given(Pool.of(Room(), "precache.workers", count)) for count in (2, 3)}))

"""From what came back from a worker to the one message a person can act on."""

from __future__ import annotations

import ray

from semconv.errors import ResourceError, SemconvError

_DISK_FULL = ("No space left on device", "Disk quota exceeded")


def explain(error: BaseException) -> SemconvError | None:
    """The readable error behind one that came back from a worker, or none if nobody foresaw it."""
    seen: set[int] = set()
    queue: list[BaseException | None] = [error]
    while queue:
        current = queue.pop(0)
        if current is None or id(current) in seen:
            continue
        seen.add(id(current))
        if isinstance(current, SemconvError) and not isinstance(current, ray.exceptions.RayTaskError):
            return current
        if isinstance(current, (ray.exceptions.WorkerCrashedError, ray.exceptions.ActorDiedError)):
            return ResourceError(
                "A worker process died, killed from outside or for lack of memory",
                "Run the command again to go on; with less memory at hand, lower the stage's batch_size or workers",
            )
        if isinstance(current, ray.exceptions.OutOfMemoryError):
            return ResourceError("A worker ran out of memory", "Lower the stage's batch_size or workers")
        if any(words in str(current) for words in _DISK_FULL):
            return ResourceError(
                "A disk ran full while a worker was writing to run.root or to its temporary folder",
                "Free space, or choose another run.root; finished stages are kept",
            )
        queue += [getattr(current, "cause", None), getattr(current, "health_check_failure", None)]
        queue += [current.__cause__, current.__context__]
        queue += list(getattr(current, "worker_failures", {}).values())
    return None

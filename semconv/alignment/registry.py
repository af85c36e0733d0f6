"""Every task beside the sequential one, by name and by family."""

from __future__ import annotations

from typing import Any

from semconv.alignment import negative, preference, query, textual
from semconv.alignment.task import Task
from semconv.config import AlignSettings

TASKS: dict[str, Task] = {task.name: task for family in (textual, query, negative, preference) for task in family.TASKS}
FAMILIES = tuple(dict.fromkeys(task.family for task in TASKS.values()))


def tasks_of(family: str, spelling: str) -> list[Task]:
    """The tasks of a family that a spelling can answer."""
    return [task for task in TASKS.values() if task.family == family and (task.compact or spelling == "tokens")]


def weights_of(settings: AlignSettings) -> dict[str, float]:
    """Examples of each family an epoch, for every training sequence."""
    return {name: float(getattr(settings.tasks, name)) for name in ("sequential", *FAMILIES)}


def unanswered(settings: AlignSettings) -> list[str]:
    """Families that are asked for and have no task whose answer the spelling can give."""
    return [
        family
        for family, weight in weights_of(settings).items()
        if weight and family in FAMILIES and not tasks_of(family, settings.spelling)
    ]


def description_of(settings: AlignSettings, seed: int) -> dict[str, Any]:
    """What ``examples.json`` says of the settings that examples are made with."""
    weights = weights_of(settings)
    return {"spelling": settings.spelling, "max_history": settings.max_history, "weights": weights, "seed": seed}

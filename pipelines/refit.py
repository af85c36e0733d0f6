"""The job once more on training and validation interactions together, with what the first one chose."""

from __future__ import annotations

from typing import Any

from semconv.artifacts import Run
from semconv.behaviour.item_to_item import TUNED_NAME
from semconv.behaviour.store import Behaviour, read_description
from semconv.config import Settings
from semconv.config.run import RunSettings


def refit_run(settings: Settings) -> RunSettings:
    """The run beside this one that is refitted."""
    return settings.run.model_copy(update={"name": f"{settings.run.name}-refit", "until": "evaluate"})


def refitted(settings: Settings) -> Settings:
    """The settings of the refitted job; every choice is read from what the run's stages made up to converge.

    Encoders go through as many epochs as were kept. The aligned model goes through its whole schedule, whose rate ends
    at zero: where it would have been best is not known without anybody to validate on. Blends are taken over.
    Raises `ArtifactError` where the run has not come that far.
    """
    behaviour = Behaviour.open(Run.of(settings.run).artifact(Behaviour.kind))
    embed = settings.embed
    encoders: dict[str, Any] = {
        name: chosen.model_copy(update={"epochs": read_description(behaviour.path, name)["kept"]["epoch"]})
        for name, chosen in embed.encoders.items()
    }
    counter = embed.item_to_item
    if counter.tune:
        counter = counter.model_copy(update={"chosen": read_description(behaviour.path, TUNED_NAME)["settings"]})
    return settings.model_copy(
        update={
            "run": refit_run(settings),
            "corpus": settings.corpus.model_copy(update={"refit": True}),
            "embed": embed.model_copy(update={**encoders, "item_to_item": counter}),
            "converge": settings.converge.model_copy(update={"blends_of": settings.run.name}),
            "evaluate": settings.evaluate.model_copy(update={"seeds": (), "refit": False, "truncated_users": 0}),
        }
    )

"""The night: what is new joins the current release, and goes live if the gate lets it.

python -m pipelines.nightly --config configs/shop.yaml --precache.events events --night.items catalogue

New events join the histories, and whose history has changed is ranked anew. New items get codes beside those of the
others, in a run that continues the released one; then everybody is ranked anew, for a new item may belong in anybody's
list. With night.epochs the corpus takes the events in, and the model is trained on for so many passes. Killed at any
point and run again, the night goes on where it was; where nothing is new, nothing is done. Without a release yet all
stages run, and their run becomes the first.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from pipelines import align, evaluate, precache
from pipelines import run as whole
from pipelines.console import StageLine
from pipelines.night_events import tonights
from pipelines.release import promote
from pipelines.release_gate import run_of
from pipelines.stage import local_files, run_stages
from semconv.artifacts import Corpus, ItemTokens, ItemVectors, Recommender, Run, TopKSnapshot, digest
from semconv.artifacts.corpus import ITEMS
from semconv.artifacts.release import Release, Releases, open_releases, version_of
from semconv.cli import main
from semconv.config import Settings
from semconv.corpus.later import Later, not_absorbed
from semconv.corpus.newer import NewItems, read_new_items
from semconv.errors import SettingError
from semconv.tokens.grow import Growth, mark_of
from semconv.tokens.text_encoder import TextEncoder


def run(settings: Settings) -> None:
    """The whole night. Raises `ArtifactError` where the gate refuses what came of it; the current release stays."""
    if "://" in settings.run.root:
        raise SettingError(
            "A night continues runs in a folder, and run.root is a URI",
            "Give --run.root a folder that every node can reach; releases may lie at a URI (--release.store)",
        )
    with StageLine("nightly") as line, tonights(settings, line.say) as later:
        night(settings, later, line)


def night(settings: Settings, later: Later | None, line: StageLine) -> Release:
    """The release that is current afterwards; ``later``: the events of `precache.events`."""
    releases = open_releases(settings.release.store, settings.run.root)
    if releases.current() is None:
        line.say("there is no release yet: all stages run")
        whole.run(settings)
        return promote(settings, say=line.say)
    current = releases.chosen(None)
    parent = run_of(current, settings.run.mirror)
    current.require(parent)
    with TemporaryDirectory() as folder:
        new = _new_items(settings, parent, Path(folder) / "quarantine")
        outside = 0 if later is None else not_absorbed(Corpus.open(parent.artifact("corpus")), later).events.num_rows
        line.say(f"since {current.name} {new.table.num_rows:,} items are new; {outside:,} events are not in the corpus")
        if not new.table.num_rows and _knows(releases, current, settings.precache.events):
            line.say("nothing is new")
            return current
        target = parent
        if new.table.num_rows or (settings.night.epochs and outside):
            target = _grown(settings, parent, new, later if settings.night.epochs else None, line)
    candidate = _settings_of(settings, target)
    chosen = candidate.precache.model_copy(update={"since": current.snapshot, "store": None})
    candidate = candidate.model_copy(update={"precache": chosen})
    # What was released is not evaluated anew: its report is part of the release.
    run_stages(candidate, (precache.STAGE,) if target is parent else (evaluate.STAGE, precache.STAGE))
    precache.settle(candidate)
    counts = TopKSnapshot.open(target.artifact("topk")).manifest.counts
    line.say(f"{counts['computed']:,} users were ranked anew, {counts['carried']:,} carried over")
    return promote(settings, say=line.say, run=target)


def _new_items(settings: Settings, parent: Run, quarantine: Path) -> NewItems:
    folder, corpus = settings.night.items, Corpus.open(parent.artifact("corpus"))
    if folder is None:
        return NewItems(ITEMS.empty_table(), {}, quarantine)
    return read_new_items(settings.corpus, folder, corpus, quarantine)


def _knows(releases: Releases, current: Release, events: str | None) -> bool:
    """Whether the current snapshot was made of just these events."""
    known = releases.snapshots.manifest(version_of(current.snapshot)).inputs.get("events")
    return known == local_files("events", events).get("events")


def _grown(settings: Settings, parent: Run, new: NewItems, taken_in: Later | None, line: StageLine) -> Run:
    """The run that continues the parent with what is new, all but its report and its snapshot.

    With night.epochs the model is trained on, on a corpus that has taken in the events ``taken_in``.
    """
    epochs = settings.night.epochs
    mark = mark_of(Corpus.open(parent.artifact("corpus")), new, taken_in)
    target = Run(str(parent.path.parent), f"{settings.run.name}-{digest([mark, epochs])[:8]}")
    growth = Growth(parent, target, new, taken_in)
    growth.catalogue(partial(_encoded, parent))
    counts = ItemTokens.open(target.artifact("tokens")).manifest.counts
    line.say(
        f"run {target.path.name} continues {parent.path.name}: {counts['kept']:,} codes kept, {counts['new']:,} new"
    )
    if epochs:
        start = str(parent.artifact(Recommender.kind))
        tuned = _settings_of(settings, target)
        chosen = tuned.align.model_copy(update={"epochs": epochs, "start": start})
        run_stages(tuned.model_copy(update={"align": chosen}), align.STAGES)
    else:
        growth.model()
    growth.blend()
    return target


def _encoded(parent: Run, texts: list[str]) -> torch.Tensor:
    """By the encoder of the parent's vectors."""
    from transformers.utils import logging

    hide_bars: Any = logging.disable_progress_bar
    hide_bars()
    name = ItemVectors.open(parent.artifact("vectors")).manifest.settings["embed"]["text_model"]
    return TextEncoder(name).encode(texts)


def _settings_of(settings: Settings, run: Run) -> Settings:
    """Settings of a run; one that was grown tells of itself alone."""
    if run.path.name == settings.run.name:
        return settings
    own = settings.run.model_copy(update={"root": str(run.path.parent), "name": run.path.name})
    alone = settings.evaluate.model_copy(update={"seeds": (), "refit": False})
    return settings.model_copy(update={"run": own, "evaluate": alone})


if __name__ == "__main__":
    main(run, "pipelines.nightly")

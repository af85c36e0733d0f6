"""A stage: artifacts in, artifacts out, skipped when nothing it depends on has changed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast

from pipelines.cluster import cluster
from pipelines.console import StageLine
from pipelines.explain import explain
from pipelines.room import Room
from semconv.artifacts import Artifact, Manifest, Run, check_lineage, digest, finish, request_of, require_space, staging
from semconv.artifacts.manifest import describe_files
from semconv.config import Section, Settings, determining
from semconv.errors import ArtifactError, SettingError

A = TypeVar("A", bound=Artifact)
SPACE = 256 * 2**20
"""Bytes that must be free before a stage starts, whatever it writes."""


@dataclass
class Work:
    """What a stage's ``build`` is given: settings, opened inputs, folders to write into, a line to report on."""

    settings: Settings
    run: Run
    request: str
    line: StageLine
    inputs: dict[str, Artifact] = field(default_factory=dict)
    folders: dict[str, Path] = field(default_factory=dict)
    counts: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def room(self) -> Room:
        """What the cluster has for the stage's workers."""
        return Room.of(self.settings.ray, self.line)

    def input(self, kind: type[A]) -> A:
        """The opened input of this type."""
        return cast(A, self.inputs[kind.kind])

    def out(self, kind: str) -> Path:
        """The folder to write this artifact's files into; published when the stage ends well."""
        return self.folders[kind]

    def count(self, kind: str, **counts: Any) -> None:
        """Record counts in the artifact's manifest."""
        self.counts.setdefault(kind, {}).update(counts)


@dataclass(frozen=True)
class Stage:
    """A stage by name: the kinds it ``makes``, the types it ``needs``, the settings sections or leaves it ``reads``.

    ``code`` is raised when the stage computes something else from the same input. ``raw`` gives fingerprints of
    input from outside by name; ``accepts`` may refuse, by raising, an earlier artifact made from other input.
    """

    name: str
    makes: tuple[str, ...]
    needs: tuple[type[Artifact], ...]
    reads: tuple[str, ...]
    code: int
    build: Callable[[Work], None]
    raw: Callable[[Settings], dict[str, str]] = lambda _: {}
    accepts: Callable[[Run, Manifest, dict[str, str]], None] = lambda _run, _manifest, _raw: None

    def settings_of(self, settings: Settings) -> dict[str, Any]:
        """The settings that decide what this stage computes, by section; the seed is always among them."""
        chosen = {name: _chosen(settings, name) for name in self.reads}
        return {name: found for name, found in chosen.items() if found is not None} | {"seed": settings.run.seed}


def run_stages(settings: Settings, stages: Sequence[Stage]) -> None:
    """Run the stages in order, each only where it is not up to date; the cluster is joined when first needed."""
    _require_lasting_root(settings)
    with ExitStack() as session:
        joined = False
        for stage in stages:
            run = Run.of(settings.run)
            raw = stage.raw(settings)
            inputs: dict[str, Artifact] = {kind.kind: kind.described(run.artifact(kind.kind)) for kind in stage.needs}
            check_lineage(inputs.values())
            chosen = stage.settings_of(settings)
            fingerprints = {name: a.fingerprint for name, a in inputs.items()} | raw
            request = request_of("+".join(stage.makes), chosen, fingerprints, stage.code)
            earlier = _earlier(run, stage)
            if earlier is not None:
                stage.accepts(run, earlier[0], raw)
            line = StageLine(stage.name)
            if earlier is not None and not settings.run.force and all(m.request == request for m in earlier):
                line.say("up to date")
                continue
            if not settings.run.force and all(run.unpublished(kind, request) for kind in stage.makes):
                _publish(run, stage, line)
                continue
            require_space(run.path, SPACE)
            if not joined:
                session.enter_context(cluster(settings.ray))
                joined = True
            inputs = {kind.kind: kind.open(run.artifact(kind.kind)) for kind in stage.needs}
            _build(stage, Work(settings, run, request, line, inputs), chosen, {**inputs, **raw})


def _chosen(settings: Settings, name: str) -> Any:
    """What a section, or one leaf of it (``section.leaf``), says of what is computed; None for a leaf that is idle."""
    section, _, leaf = name.partition(".")
    found = determining(cast(Section, getattr(settings, section)))
    return found.get(leaf) if leaf else found


def local_files(name: str, model: str | None) -> dict[str, str]:
    """For `Stage.raw`: what a setting that may name a local folder points to, by content; nothing for a hub id."""
    folder = Path(model) if model else None
    return {name: digest(describe_files(folder))} if folder is not None and folder.is_dir() else {}


def _require_lasting_root(settings: Settings) -> None:
    """A submitted job runs in a temporary folder, and other nodes have folders of their own."""
    joins = settings.ray.joined or os.environ.get("RAY_JOB_CONFIG_JSON_ENV_VAR")
    if joins and "://" not in settings.run.root and not Path(settings.run.root).is_absolute():
        raise SettingError(
            f"run.root is '{settings.run.root}', a relative path, and the work runs on a cluster that is joined",
            "Give --run.root an absolute path that every node can reach, or a URI",
        )


def _earlier(run: Run, stage: Stage) -> list[Manifest] | None:
    """Manifests of what the stage made before, if all of it is there and whole."""
    try:
        return [type(kind, (Artifact,), {"kind": kind}).described(run.artifact(kind)).manifest for kind in stage.makes]
    except ArtifactError:
        return None


def _build(stage: Stage, work: Work, chosen: dict[str, Any], inputs: dict[str, Artifact | str]) -> None:
    started = time.monotonic()
    with work.line:
        _write(stage, work, chosen, inputs, started)
        _publish(work.run, stage, work.line)


def _write(stage: Stage, work: Work, chosen: dict[str, Any], inputs: dict[str, Artifact | str], started: float) -> None:
    with ExitStack() as outputs:
        for kind in stage.makes:
            work.folders[kind] = outputs.enter_context(staging(work.run.artifact(kind)))
        try:
            stage.build(work)
        except Exception as error:
            explained = explain(error)
            if explained is None or explained is error:
                raise
            raise explained from error
        for kind in stage.makes:
            finish(
                work.folders[kind],
                kind,
                settings=chosen,
                inputs=inputs,
                counts=work.counts.get(kind, {}),
                request=work.request,
                seconds=time.monotonic() - started,
            )


def _publish(run: Run, stage: Stage, line: StageLine) -> None:
    """Of a run at a URI: put there what lies finished in this node's mirror."""
    for kind in stage.makes:
        if run.publish(kind):
            line.say(f"{kind} published to {run.shown}")

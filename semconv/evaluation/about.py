"""What the evaluated run was: its data, settings, versions and fingerprints, read from the artifacts it left."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from semconv.artifacts import Artifact, Corpus, Split, digest
from semconv.artifacts.manifest import library_versions
from semconv.behaviour.encoders import ENCODERS
from semconv.behaviour.store import Behaviour, read_description
from semconv.evaluation.rankings import repeats

CURVES = "curves.json"


@dataclass(frozen=True)
class About:
    """``counts`` of the data by what is counted; ``settings`` by dotted name; ``fingerprints`` by kind of artifact;
    ``curves``: the model's training curves, one dict a point; ``encoder_curves``: epoch and NDCG@10 on validation, by
    behaviour encoder; ``stage_seconds`` by stage.
    """

    run: str
    counts: dict[str, int]
    settings: dict[str, Any]
    versions: dict[str, str]
    fingerprints: dict[str, str]
    curves: list[dict[str, float]]
    encoder_curves: dict[str, list[tuple[float, float]]]
    stage_seconds: dict[str, float]

    @property
    def fingerprint(self) -> str:
        """One fingerprint of everything evaluated: SHA-256 over those of the artifacts and their ancestors."""
        return digest(self.fingerprints)


def describe(
    run: str,
    corpus: Corpus,
    split: Split,
    artifacts: Sequence[Artifact],
    settings: Mapping[str, Any],
    stage_seconds: Mapping[str, float],
) -> About:
    """Describe a run by its name, data and evaluated ``artifacts``; ``settings`` are the evaluation's own."""
    chosen: dict[str, Any] = {}
    fingerprints: dict[str, str] = {}
    for artifact in artifacts:
        chosen |= artifact.manifest.settings
        fingerprints |= artifact.lineage()
    return About(
        run=run,
        counts=_counts(corpus, split),
        settings=dict(sorted(_flat(chosen | dict(settings)).items())),
        versions=library_versions(),
        fingerprints=dict(sorted(fingerprints.items())),
        curves=_curves(artifacts),
        encoder_curves=_encoder_curves(artifacts),
        stage_seconds=dict(stage_seconds),
    )


def _counts(corpus: Corpus, split: Split) -> dict[str, int]:
    training = corpus.training()
    trained = np.unique(training.values)
    return {
        "users": corpus.n_users,
        "items": corpus.n_items,
        "interactions": len(corpus.sequences.values),
        "training interactions": len(training.values),
        "items without training interactions": corpus.n_items - len(trained),
        "users tested": len(split.users),
        "test users whose target is in their history": repeats(split),
        "median history of a test user": int(np.median(split.histories.lengths)) if len(split.users) else 0,
    }


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    leaves: dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, Mapping) and value:
            leaves |= _flat(value, f"{prefix}{name}.")
        else:
            leaves[prefix + name] = value
    return leaves


def _curves(artifacts: Sequence[Artifact]) -> list[dict[str, float]]:
    """Training curves of the model among the artifacts, if it has any; values that are not numbers left out."""
    for artifact in artifacts:
        if artifact.kind == "model" and CURVES in artifact.manifest.files:
            points = json.loads((artifact.path / CURVES).read_text())
            return [{name: float(v) for name, v in point.items() if isinstance(v, int | float)} for point in points]
    return []


def _encoder_curves(artifacts: Sequence[Artifact]) -> dict[str, list[tuple[float, float]]]:
    """Of every encoder of the behaviour among the artifacts that was validated."""
    found: dict[str, list[tuple[float, float]]] = {}
    for artifact in artifacts:
        for name in ENCODERS if artifact.kind == Behaviour.kind else ():
            if f"{name}.json" in artifact.manifest.files:
                curve = read_description(artifact.path, name)["curve"]
                found[name] = [(one["epoch"], one["ndcg_at_10"]) for one in curve if one["ndcg_at_10"] is not None]
    return {name: points for name, points in found.items() if points}

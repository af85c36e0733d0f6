"""A run beside the current release: both opened, timed turn by turn on this machine, and given to the gate."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from semconv.artifacts import (
    Corpus,
    ItemTokens,
    ItemVectors,
    Recommender,
    Report,
    Run,
    TopKSnapshot,
    check_lineage,
    located,
)
from semconv.artifacts.ragged import Int32
from semconv.artifacts.release import Release, Releases, fingerprints
from semconv.behaviour.store import Behaviour
from semconv.config import RecommendSettings, ReleaseSettings
from semconv.errors import ArtifactError
from semconv.evaluation.gate import Measured, Verdict, judge
from semconv.evaluation.gate_sides import measured, remembered
from semconv.evaluation.gate_timing import lookup_seconds, ranking_seconds
from semconv.recommend.load import open_recommender
from semconv.recommend.ranker import Ranker

CANDIDATE, CURRENT = "candidate", "current"
CACHE = "release"
"""Private folder of a run for the current release's snapshot."""
RANKS = ("vectors", "behaviour", "tokens", "model", "blend")
"""What a ranking is made by; where all of it is the same, it takes as long."""


@dataclass(frozen=True)
class Side:
    """A run and a snapshot that was made from it."""

    run: Run
    snapshot: TopKSnapshot

    @classmethod
    def open(cls, run: Run, snapshot: TopKSnapshot) -> Side:
        """Raises `ArtifactError` where they do not belong together, or the run lacks a part."""
        kinds = (Corpus, ItemVectors, Behaviour, ItemTokens, Recommender, Report)
        check_lineage([snapshot, *(kind.open(run.artifact(kind.kind)) for kind in kinds)])
        return cls(run, snapshot)

    @property
    def chosen(self) -> RecommendSettings:
        """What the snapshot was ranked with."""
        return RecommendSettings.model_validate(self.snapshot.manifest.settings["recommend"])

    @property
    def corpus(self) -> Corpus:
        """The run's."""
        return Corpus.open(self.run.artifact("corpus"))

    def measured(self, seconds: dict[str, float]) -> Measured:
        """What the gate is to know."""
        report = Report.open(self.run.artifact("report"))
        return measured(report, self.corpus, self.snapshot, self.chosen.system, seconds)


@dataclass(frozen=True)
class Weighed:
    """A candidate: its fingerprints, what was measured of it, and the verdicts against the ``current`` release."""

    side: Side
    artifacts: dict[str, str]
    found: Measured
    current: Release | None
    verdicts: list[Verdict]

    @property
    def refused(self) -> list[Verdict]:
        """Those that speak against it."""
        return [verdict for verdict in self.verdicts if verdict.refused]

    @property
    def is_current(self) -> bool:
        """Whether there is nothing in it that the current release has not."""
        return self.current is not None and dict(self.current.artifacts) == self.artifacts


def weigh(run: Run, releases: Releases, limits: ReleaseSettings, mirror: str | None) -> Weighed:
    """Compare a run with the current release, whose run is opened through ``mirror`` where it lies at a URI.

    Where that release's run has changed since, or its snapshot is gone, its manifest tells of it. Raises
    `ArtifactError` where the candidate lacks a part, or its parts do not belong together.
    """
    sides = {CANDIDATE: Side.open(run, TopKSnapshot.open(run.artifact(TopKSnapshot.kind)))}
    artifacts = {**fingerprints(run), TopKSnapshot.kind: sides[CANDIDATE].snapshot.fingerprint}
    name = releases.current()
    current = None if name is None else releases.read(name)
    before = None if current is None else _still_there(current, run_of(current, mirror), run.private(CACHE))
    if before is not None:
        sides[CURRENT] = before
    same = current is not None and all(current.artifacts[kind] == artifacts[kind] for kind in RANKS)
    seconds = _seconds(sides, 0 if same else limits.timed_users)
    found = {side: one.measured(seconds[side]) for side, one in sides.items()}
    against = found.get(CURRENT)
    if against is None and current is not None:
        against = remembered(current.figures)
    return Weighed(sides[CANDIDATE], artifacts, found[CANDIDATE], current, judge(found[CANDIDATE], against, limits))


def run_of(release: Release, mirror: str | None) -> Run:
    """The run that a release names by its folder or URI; ``mirror`` as in `Run.at`."""
    return Run.at(release.run, mirror)


def _still_there(current: Release, before: Run, cache: Path) -> Side | None:
    """The current release and its run, opened; None where something of it is gone."""
    try:
        current.require(before)
        return Side.open(before, TopKSnapshot.open(located(current.snapshot, cache)))
    except ArtifactError:
        return None


def _seconds(sides: dict[str, Side], people: int) -> dict[str, dict[str, float]]:
    """What a lookup takes on each side, and a ranking for these many people."""
    lookups = lookup_seconds({name: side.snapshot for name, side in sides.items()})
    found = {name: {"lookup": seconds} for name, seconds in lookups.items()}
    if people:
        rankers = _rankers(sides, people)
        k = min(side.snapshot.kept for side in sides.values())
        for name, seconds in ranking_seconds(rankers, k).items():
            found[name]["ranking"] = seconds
    return found


def _rankers(sides: dict[str, Side], people: int) -> dict[str, tuple[Ranker, list[Int32]]]:
    """Each side's model, and the same people's histories in its own indices: the items that all sides know."""
    corpora = {name: side.corpus for name, side in sides.items()}
    first = corpora[CANDIDATE]
    users = np.unique(np.linspace(0, first.n_users - 1, people).astype(np.int64))
    common = set(first.item_ids).intersection(*(corpus.item_index for corpus in corpora.values()))
    histories = [[first.item_ids[item] for item in first.sequences[int(user)]] for user in users]
    known = [[item for item in history if item in common] for history in histories]
    return {
        name: (
            open_recommender(side.run, side.chosen),
            [np.array([corpora[name].item_index[item] for item in history], np.int32) for history in known],
        )
        for name, side in sides.items()
    }

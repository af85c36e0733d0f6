"""What the gate compares, read from the artifacts of a run, or from a release's manifest where the run is gone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from semconv.artifacts import Corpus, Report, TopKSnapshot
from semconv.errors import ArtifactError
from semconv.evaluation.gate import ASKED, Measured
from semconv.evaluation.rankings import column
from semconv.evaluation.results import headline_of


def measured(
    report: Report, corpus: Corpus, snapshot: TopKSnapshot, system: str, seconds: Mapping[str, float]
) -> Measured:
    """One side, by what it recommends: the system ``converged`` or ``generative``, seen items removed.

    Raises `ArtifactError` for a report that does not tell of the system.
    """
    name = report.aliases.get(system, system)
    found = report.metrics["systems"].get(name, {}).get("filtered")
    if found is None:
        raise ArtifactError(f"{report.path} tells nothing of the system {system}", "Redo the stage evaluate")
    figures, intervals = found["metrics"], found["intervals"]
    cutoffs = tuple(sorted(int(metric.partition("@")[2]) for metric in intervals if metric.startswith("ndcg@")))
    ranks = report.ranks
    users = pa.array(corpus.user_ids, pa.string()).take(ranks["user"].combine_chunks())
    targets = corpus.items["item_id"].take(ranks["target"])
    asked = pa.table([users, targets, ranks[column(name, "filtered")]], schema=ASKED)
    return Measured(
        cutoffs=cutoffs,
        figures=figures,
        intervals={metric: (float(low), float(high)) for metric, (low, high) in intervals.items()},
        shown=round(figures[f"coverage@{headline_of(cutoffs)}"] * corpus.n_items),
        asked=asked,
        users=snapshot.n_users,
        bytes=sum(file["bytes"] for file in snapshot.manifest.files.values()),
        seconds=seconds,
    )


def figures_of(side: Measured) -> dict[str, Any]:
    """For a release's manifest; `remembered` reads it again."""
    quality = {
        metric: {"value": side.figures[metric], "interval": list(interval)}
        for metric, interval in side.intervals.items()
    }
    told = {"items_shown": side.shown, "users": side.users, "bytes": side.bytes, "seconds": dict(side.seconds)}
    return {"quality": quality, "cutoffs": list(side.cutoffs), **told}


def remembered(figures: Mapping[str, Any]) -> Measured:
    """A side whose artifacts are gone: nobody to pair users with, and nothing that was timed now."""
    quality = figures["quality"]
    return Measured(
        cutoffs=tuple(figures["cutoffs"]),
        figures={metric: found["value"] for metric, found in quality.items()},
        intervals={metric: (found["interval"][0], found["interval"][1]) for metric, found in quality.items()},
        shown=figures["items_shown"],
        asked=ASKED.empty_table(),
        users=figures["users"],
        bytes=figures["bytes"],
        seconds={},
    )

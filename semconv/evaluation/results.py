"""Rankings into figures: metrics of every system on the same users, with intervals from the same resamples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from semconv.artifacts.ragged import Int32
from semconv.evaluation.aliases import aliases
from semconv.evaluation.beyond import Catalogue, beyond_accuracy
from semconv.evaluation.metrics import hit_ranks, recall_curve
from semconv.evaluation.paired import Comparison, Paired
from semconv.evaluation.rankings import FILTERS, Filter, Rankings
from semconv.evaluation.significance import Significance, contract, each_baseline, significance


@dataclass(frozen=True)
class Scores:
    """One system under one filter.

    ``metrics`` by name (recall@k, ndcg@k, mrr@k, and those of `beyond_accuracy`); ``intervals`` of those that are
    means over users of a hit; ``curve``: recall at 1, 2, .. K; ``ranks``: the target's rank for every user,
    int32 (U,), 0 for a miss.
    """

    metrics: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    curve: tuple[float, ...]
    ranks: Int32


@dataclass(frozen=True)
class Result:
    """All figures of one evaluation: U ``users``, rankings of ``depth`` items, metrics at ``cutoffs``.

    ``lead``: the best system against the next; ``significance``: every system against the best baseline;
    ``against_each``: the converged system against every baseline; all filtered.
    """

    users: int
    seed: int
    depth: int
    cutoffs: tuple[int, ...]
    systems: dict[str, dict[Filter, Scores]]
    lead: Comparison | None
    significance: Significance
    against_each: Significance

    @property
    def headline(self) -> int:
        """The cut-off that is quoted where one must stand for all: see `headline_of`."""
        return headline_of(self.cutoffs)

    @property
    def filtered_ranks(self) -> dict[str, Int32]:
        """Every system's hit ranks, int32 (U,), with the history's items removed."""
        return {name: by_filter["filtered"].ranks for name, by_filter in self.systems.items()}

    def is_best(self, system: str, metric: str, kind: Filter) -> bool:
        """Whether no system does better; never so for what describes a system and does not rate it."""
        scores = self.systems[system][kind]
        best = max(by_filter[kind].metrics.get(metric, -np.inf) for by_filter in self.systems.values())
        return metric in scores.intervals and scores.metrics[metric] == best

    def contract(self, fingerprint: str, stage_seconds: Mapping[str, float]) -> dict[str, Any]:
        """The content of ``metrics.json``; only ``stage_seconds`` depends on when and where the run was made.

        A system that goes by two names is there under both.
        """
        systems = {
            name: {
                kind: {
                    "metrics": scores.metrics,
                    "intervals": {metric: list(pair) for metric, pair in scores.intervals.items()},
                }
                for kind, scores in by_filter.items()
            }
            for name, by_filter in self.systems.items()
        }
        others = aliases(self.systems)
        return {
            "users": self.users,
            "seed": self.seed,
            "fingerprint": fingerprint,
            "stage_seconds": {stage: round(seconds, 3) for stage, seconds in stage_seconds.items()},
            "systems": systems | {alias: systems[name] for alias, name in others.items()},
            "aliases": others,
            "significance": contract(self.significance, self.against_each),
        }


def headline_of(cutoffs: Sequence[int]) -> int:
    """10 if it is among the rising ``cutoffs``, otherwise the middle one."""
    return 10 if 10 in cutoffs else cutoffs[len(cutoffs) // 2]


def measure(
    rankings: Rankings,
    targets_U: Int32,
    *,
    catalogue: Catalogue,
    cutoffs: Sequence[int],
    resamples: int,
    seed: int,
) -> Result:
    """Metrics and 95% intervals of rankings int32 (U, K) against one target per user.

    Raises `ValueError` where a cut-off exceeds the rankings' depth.
    """
    ordered = tuple(sorted(set(cutoffs)))
    depth = next(iter(rankings.values()))["filtered"].shape[1]
    if ordered[-1] > depth:
        raise ValueError(f"a cut-off of {ordered[-1]} needs rankings at least that deep, not {depth}")
    systems: dict[str, dict[Filter, Scores]] = {system: {} for system in rankings}
    paired: dict[Filter, Paired] = {}
    for kind in FILTERS:
        ranks = {system: hit_ranks(by_filter[kind], targets_U) for system, by_filter in rankings.items()}
        paired[kind] = Paired.of(ranks, ordered, resamples, seed)
        for system, by_filter in rankings.items():
            systems[system][kind] = Scores(
                paired[kind].values(system) | beyond_accuracy(by_filter[kind], ordered, catalogue),
                paired[kind].intervals(system),
                tuple(recall_curve(ranks[system], depth).tolist()),
                ranks[system],
            )
    filtered, headline = paired["filtered"], headline_of(ordered)
    lead = _lead(filtered, f"ndcg@{headline}")
    return Result(
        len(targets_U),
        seed,
        depth,
        ordered,
        systems,
        lead,
        significance(filtered, headline),
        each_baseline(filtered, headline),
    )


def _lead(paired: Paired, metric: str) -> Comparison | None:
    """The best two systems by ``metric``."""
    if len(paired.systems) < 2:
        return None
    first, second = sorted(paired.systems, key=lambda name: -paired.value(name, metric))[:2]
    return paired.compare(first, second, metric)

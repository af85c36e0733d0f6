"""Rankings into figures: metrics of every system on the same users, with intervals from the same resamples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from semconv.artifacts.ragged import Int32
from semconv.evaluation.intervals import Bootstrap
from semconv.evaluation.metrics import Float64, coverage, gains, histogram, hit_ranks, metric_names, weighted
from semconv.evaluation.rankings import FILTERS, Filter, Rankings


@dataclass(frozen=True)
class Scores:
    """One system under one filter.

    ``metrics`` by name (recall@k, ndcg@k, mrr@k, coverage@k); ``intervals`` of those that are means over users;
    ``curve``: recall at 1, 2, .. K; ``ranks``: the target's rank for every user, int32 (U,), 0 for a miss.
    """

    metrics: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    curve: tuple[float, ...]
    ranks: Int32


@dataclass(frozen=True)
class Comparison:
    """The leading system against the next: ``first`` minus ``second`` in ``metric``, filtered."""

    first: str
    second: str
    metric: str
    difference: float
    low: float
    high: float
    p: float


@dataclass(frozen=True)
class Result:
    """All figures of one evaluation: U ``users``, rankings of ``depth`` items, metrics at ``cutoffs``."""

    users: int
    seed: int
    depth: int
    cutoffs: tuple[int, ...]
    systems: dict[str, dict[Filter, Scores]]
    lead: Comparison | None

    @property
    def headline(self) -> int:
        """The cut-off that is quoted where one must stand for all: 10 if measured, otherwise the middle one."""
        return 10 if 10 in self.cutoffs else self.cutoffs[len(self.cutoffs) // 2]

    def is_best(self, system: str, metric: str, kind: Filter) -> bool:
        """Whether no system does better; never so for coverage, of which more is not better in itself."""
        values = [by_filter[kind].metrics[metric] for by_filter in self.systems.values()]
        return not metric.startswith("coverage") and self.systems[system][kind].metrics[metric] == max(values)

    def contract(self, fingerprint: str, stage_seconds: Mapping[str, float]) -> dict[str, Any]:
        """The content of ``metrics.json``; only ``stage_seconds`` depends on when and where the run was made."""
        return {
            "users": self.users,
            "seed": self.seed,
            "fingerprint": fingerprint,
            "stage_seconds": {stage: round(seconds, 3) for stage, seconds in stage_seconds.items()},
            "systems": {
                name: {
                    kind: {
                        "metrics": scores.metrics,
                        "intervals": {metric: list(pair) for metric, pair in scores.intervals.items()},
                    }
                    for kind, scores in by_filter.items()
                }
                for name, by_filter in self.systems.items()
            },
        }


def measure(
    rankings: Rankings, targets_U: Int32, *, n_items: int, cutoffs: Sequence[int], resamples: int, seed: int
) -> Result:
    """Metrics and 95% intervals of rankings int32 (U, K) against one target per user."""
    ordered = tuple(sorted(set(cutoffs)))
    pairs = [(system, kind) for system in rankings for kind in FILTERS]
    depth = rankings[pairs[0][0]][pairs[0][1]].shape[1]
    ranks_SU = np.stack([hit_ranks(rankings[system][kind], targets_U) for system, kind in pairs])
    names, table_KM = metric_names(ordered), gains(ordered, depth)
    bootstrap = Bootstrap.of(ranks_SU, depth, resamples, seed)
    intervals_SM2 = bootstrap.intervals(table_KM)
    systems: dict[str, dict[Filter, Scores]] = {system: {} for system in rankings}
    for row, (system, kind) in enumerate(pairs):
        systems[system][kind] = _scores(
            rankings[system][kind], ranks_SU[row], intervals_SM2[row], names, table_KM, ordered, n_items
        )
    result = Result(len(targets_U), seed, depth, ordered, systems, None)
    return replace(result, lead=_lead(result, pairs, bootstrap, names, table_KM))


def _scores(
    items_UK: Int32,
    ranks_U: Int32,
    intervals_M2: Float64,
    names: list[str],
    table_KM: Float64,
    cutoffs: tuple[int, ...],
    n_items: int,
) -> Scores:
    counts_K = histogram(ranks_U, len(table_KM))
    means_M = weighted(counts_K, table_KM, len(ranks_U))
    metrics = {name: float(value) for name, value in zip(names, means_M, strict=True)}
    metrics |= {f"coverage@{k}": coverage(items_UK, k, n_items) for k in cutoffs}
    intervals = {name: (float(low), float(high)) for name, (low, high) in zip(names, intervals_M2, strict=True)}
    return Scores(metrics, intervals, tuple((np.cumsum(counts_K) / len(ranks_U)).tolist()), ranks_U)


def _lead(
    result: Result, pairs: list[tuple[str, Filter]], bootstrap: Bootstrap, names: list[str], table_KM: Float64
) -> Comparison | None:
    """The best two systems, filtered, by NDCG at the headline cut-off."""
    if len(result.systems) < 2:
        return None
    metric = f"ndcg@{result.headline}"
    values = {name: by_filter["filtered"].metrics[metric] for name, by_filter in result.systems.items()}
    first, second = sorted(values, key=lambda name: -values[name])[:2]
    low, high, p = bootstrap.difference(
        pairs.index((first, "filtered")), pairs.index((second, "filtered")), table_KM[:, names.index(metric)]
    )
    return Comparison(first, second, metric, values[first] - values[second], low, high, p)

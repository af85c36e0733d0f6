"""Several systems on the same users: their figures, their intervals, and any two of them against one another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from semconv.artifacts.ragged import Int32
from semconv.evaluation.intervals import Bootstrap
from semconv.evaluation.metrics import MISS, Float64, gains, histogram, metric_names, weighted


@dataclass(frozen=True)
class Comparison:
    """``first`` minus ``second`` in ``metric``: the difference, its 95% interval, and its two-sided p-value."""

    first: str
    second: str
    metric: str
    difference: float
    low: float
    high: float
    p: float


@dataclass(frozen=True)
class Paired:
    """Systems by name, S of them, whose M metrics share their resamples of the users."""

    systems: tuple[str, ...]
    metrics: tuple[str, ...]
    gains_KM: Float64
    means_SM: Float64
    intervals_SM2: Float64
    bootstrap: Bootstrap

    @classmethod
    def of(cls, ranks: Mapping[str, Int32], cutoffs: Sequence[int], resamples: int, seed: int) -> Paired:
        """From each system's hit ranks int32 (U,); a rank beyond the deepest cut-off counts as a miss.

        The seed alone decides the resamples: systems in separate calls with as many users share them too.
        """
        depth = max(cutoffs)
        ranks_SU = np.stack(list(ranks.values()))
        ranks_SU = np.where(ranks_SU > depth, MISS, ranks_SU).astype(np.int32)
        table_KM = gains(cutoffs, depth)
        users = ranks_SU.shape[1]
        means_SM = np.stack([weighted(histogram(ranks_U, depth), table_KM, users) for ranks_U in ranks_SU])
        bootstrap = Bootstrap.of(ranks_SU, depth, resamples, seed)
        names = tuple(metric_names(cutoffs))
        return cls(tuple(ranks), names, table_KM, means_SM, bootstrap.intervals(table_KM), bootstrap)

    def value(self, system: str, metric: str) -> float:
        """One figure."""
        return float(self.means_SM[self.systems.index(system), self.metrics.index(metric)])

    def values(self, system: str) -> dict[str, float]:
        """All figures of a system by metric."""
        return {metric: self.value(system, metric) for metric in self.metrics}

    def interval(self, system: str, metric: str) -> tuple[float, float]:
        """One figure's 95% interval."""
        low, high = self.intervals_SM2[self.systems.index(system), self.metrics.index(metric)]
        return float(low), float(high)

    def intervals(self, system: str) -> dict[str, tuple[float, float]]:
        """All 95% intervals of a system by metric."""
        return {metric: self.interval(system, metric) for metric in self.metrics}

    def compare(self, first: str, second: str, metric: str) -> Comparison:
        """Two systems on the same users."""
        gains_K = self.gains_KM[:, self.metrics.index(metric)]
        difference = self.value(first, metric) - self.value(second, metric)
        bounds = self.bootstrap.difference(self.systems.index(first), self.systems.index(second), gains_K)
        return Comparison(first, second, metric, difference, *bounds)

"""How far chance could have moved a figure: the paired bootstrap over users.

Users are drawn with replacement, and each draw is applied to every system at once, so that what makes a user easy
or hard cancels when two systems are compared (Efron & Tibshirani 1993; for retrieval, Sakai 2006).
R resamples, S systems, U users, K ranks, M metrics.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from semconv.artifacts.ragged import Int32, Int64
from semconv.evaluation.metrics import Float64, weighted

BLOCK_DRAWS = 1_000_000


@dataclass(frozen=True)
class Bootstrap:
    """Resampled rank histograms of all systems, int64 (R, S, K), over ``users`` users each."""

    histograms: Int64
    users: int

    @classmethod
    def of(cls, ranks_SU: Int32, depth: int, resamples: int, seed: int) -> Bootstrap:
        """Resample the users of hit ranks int32 (S, U), 0 for a miss, 1 .. ``depth`` for a hit.

        Counts are whole numbers, so the result depends on the seed alone, not on the order of summation.
        """
        systems, users = ranks_SU.shape
        rng = np.random.default_rng(seed)
        system_H, user_H = np.nonzero(ranks_SU)
        cells_2H = np.stack([system_H * depth + ranks_SU[system_H, user_H] - 1, user_H])
        hits = sparse.csr_array(
            sparse.coo_array((np.ones(cells_2H.shape[1]), (cells_2H[0], cells_2H[1])), shape=(systems * depth, users))
        )
        block = max(1, BLOCK_DRAWS // users)
        rows = []
        for start in range(0, resamples, block):
            count = min(block, resamples - start)
            drawn = rng.integers(0, users, size=(count, users)) * count + np.arange(count)[:, None]
            times_UR = np.bincount(drawn.ravel(), minlength=users * count).reshape(users, count)
            rows.append((hits @ times_UR).astype(np.int64).T.reshape(count, systems, depth))
        return cls(np.concatenate(rows), users)

    def intervals(self, gains_KM: Float64, level: float = 0.95) -> Float64:
        """Percentile interval of every system's metrics: float64 (S, M, 2), low then high."""
        tail = (1 - level) / 2
        metrics_RSM = weighted(self.histograms, gains_KM, self.users)
        return np.moveaxis(np.quantile(metrics_RSM, [tail, 1 - tail], axis=0), 0, -1)

    def difference(self, first: int, second: int, gains_K: Float64, level: float = 0.95) -> tuple[float, float, float]:
        """Interval of system ``first`` minus system ``second`` in one metric, and its two-sided p-value.

        p is twice the smaller share of resamples on either side of zero, by the (count + 1) / (R + 1) rule, so it is
        never zero; it tests that both systems have the same mean.
        """
        counts_RK = self.histograms[:, first] - self.histograms[:, second]
        delta_R = weighted(counts_RK, gains_K[:, None], self.users)[:, 0]
        tail = (1 - level) / 2
        low, high = np.quantile(delta_R, [tail, 1 - tail])
        smaller = min(int(np.count_nonzero(delta_R <= 0)), int(np.count_nonzero(delta_R >= 0)))
        return float(low), float(high), min(1.0, 2 * (smaller + 1) / (len(delta_R) + 1))

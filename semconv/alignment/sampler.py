"""Which examples a step trains on: a pure function of seed, epoch, step and rank.

A run that goes on from a checkpoint therefore sees exactly what it would have seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from semconv.artifacts.ragged import Int64


@dataclass(frozen=True)
class Sampler:
    """Every one of ``size`` examples exactly once an epoch, in batches that differ by at most one in size.

    ``batch_size`` counts examples over all ``world`` ranks. What a global batch holds does not depend on ``world``.
    """

    size: int
    batch_size: int
    seed: int
    world: int = 1

    @property
    def steps(self) -> int:
        """Optimizer steps an epoch; never so many that a rank would go without an example."""
        return max(1, min(-(-self.size // self.batch_size), self.size // self.world))

    def batch(self, epoch: int, step: int) -> Int64:
        """Examples of a step over all ranks."""
        order = _order(self.size, self.seed, epoch)
        return order[self.size * step // self.steps : self.size * (step + 1) // self.steps]


@lru_cache(maxsize=2)
def _order(size: int, seed: int, epoch: int) -> Int64:
    return np.random.default_rng((seed, epoch)).permutation(size)

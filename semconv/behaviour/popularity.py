"""Popularity: everybody is offered what was bought most in training."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from semconv.artifacts.ragged import Int32, Ragged


def training_counts(training: Ragged, n_items: int) -> torch.Tensor:
    """How many training interactions every item has, int64 (N,)."""
    return torch.bincount(torch.from_numpy(training.values).long(), minlength=n_items)


class Popularity:
    """Scores are training counts, whatever the history; a `BehaviourModel`."""

    name = "popularity"

    def __init__(self, counts_N: torch.Tensor) -> None:
        self.counts_N = counts_N

    def scores(self, histories: Sequence[Int32]) -> torch.Tensor:
        """Training counts, float32 (B, N), the same row for every history (read-only: rows share memory)."""
        return self.counts_N.float().expand(len(histories), -1)

"""Evidence: what every source knows of a history's candidates, side by side.

A feature of an item is a function of the history and the item alone, not of what else is a candidate or is excluded.
B histories, M candidates of each at most, F features.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from semconv.artifacts.ragged import Int32
from semconv.recommend.ranker import NO_ITEM


class Reading(Protocol):
    """What a source makes of B histories."""

    def best(self, k: int, exclude: Sequence[Int32] | None) -> Int32:
        """Its own candidates, int32 (B, k), none of them excluded; `NO_ITEM` past the last."""
        ...

    def features(self, items_BM: torch.Tensor) -> torch.Tensor:
        """What it knows of the items int64 (B, M): float32 (B, M, F), finite."""
        ...


class Source(Protocol):
    """A system that knows something of histories and items."""

    features: tuple[str, ...]
    """Names of what its readings tell, each beginning with the name of the source and a point."""

    def read(self, histories: Sequence[Int32]) -> Reading:
        """Look at the histories once, for candidates and features both."""
        ...


@dataclass(frozen=True)
class Evidence:
    """Candidates int64 (B, M), each once, `NO_ITEM` past a history's last, and their features float32 (B, M, F)."""

    items_BM: torch.Tensor
    features_BMF: torch.Tensor

    @property
    def live(self) -> torch.Tensor:
        """Where there is a candidate, bool (B, M)."""
        return self.items_BM != NO_ITEM


def gather(
    sources: Sequence[Source], histories: Sequence[Int32], k: int, exclude: Sequence[Int32] | None = None
) -> Evidence:
    """The ``k`` candidates of every source together, with what all sources know of them; histories must not be none."""
    readings = [source.read(histories) for source in sources]
    items_BM = _distinct(np.concatenate([reading.best(k, exclude) for reading in readings], axis=1))
    known = [reading.features(items_BM.clamp(min=0)) for reading in readings]
    return Evidence(items_BM, torch.cat(known, dim=2))


def _distinct(proposed: Int32) -> torch.Tensor:
    """Each item of a row once, in descending order, and as few columns as hold them."""
    items_BM = torch.from_numpy(-np.sort(-proposed.astype(np.int64), axis=1))
    items_BM[:, 1:][items_BM[:, 1:] == items_BM[:, :-1]] = NO_ITEM
    items_BM = items_BM.sort(dim=1, descending=True).values
    return items_BM[:, : int((items_BM != NO_ITEM).sum(dim=1).max())]

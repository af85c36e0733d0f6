"""Evidence: what every source knows of a history's candidates, side by side.

A feature of an item is a function of the history and the item alone, not of what else is a candidate or is excluded.
B histories, M candidates of each at most, F features, S sources.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch

from semconv.artifacts.ragged import Int32
from semconv.recommend.ranker import NO_ITEM


class Reading(Protocol):
    """What a source makes of B histories."""

    def best(self, k: int, exclude: Sequence[Int32] | None) -> Int32:
        """Its own candidates, int32 (B, about k), none of them excluded; `NO_ITEM` where there is none."""
        ...

    def features(self, items_BM: torch.Tensor) -> torch.Tensor:
        """What it knows of the items int64 (B, M): float32 (B, M, F), finite."""
        ...


class Teller(Protocol):
    """Whatever knows something of items."""

    @property
    def features(self) -> tuple[str, ...]:
        """Names of what it tells, each beginning with the name of the source and a point."""
        ...


class Source(Teller, Protocol):
    """A system that knows something of histories and items."""

    def read(self, histories: Sequence[Int32]) -> Reading:
        """Look at the histories once, for candidates and features both."""
        ...


@dataclass(frozen=True)
class Evidence:
    """Candidates int64 (B, M), each once, `NO_ITEM` past a history's last, and what is known of them.

    ``features_BMF`` float32, in the order of ``features``; ``proposed_BMS`` bool: which of the ``sources`` proposed it.
    """

    sources: tuple[str, ...]
    features: tuple[str, ...]
    items_BM: torch.Tensor
    features_BMF: torch.Tensor
    proposed_BMS: torch.Tensor

    @property
    def live(self) -> torch.Tensor:
        """Where there is a candidate, bool (B, M)."""
        return self.items_BM != NO_ITEM

    def of(self, rows: torch.Tensor) -> Evidence:
        """Some of the histories."""
        return replace(
            self,
            items_BM=self.items_BM[rows],
            features_BMF=self.features_BMF[rows],
            proposed_BMS=self.proposed_BMS[rows],
        )

    def without(self, source: str) -> Evidence:
        """What the other sources propose and know."""
        others = [place for place, name in enumerate(self.sources) if name != source]
        kept = [place for place, name in enumerate(self.features) if source_of(name) != source]
        proposed_BMS = self.proposed_BMS[:, :, others]
        return Evidence(
            tuple(self.sources[place] for place in others),
            tuple(self.features[place] for place in kept),
            self.items_BM.masked_fill(~proposed_BMS.any(dim=2), NO_ITEM),
            self.features_BMF[:, :, kept],
            proposed_BMS,
        )


def source_of(feature: str) -> str:
    """The name of the source that a feature is from."""
    return feature.partition(".")[0]


def source_name(source: Source) -> str:
    """What a source's features begin with."""
    return source_of(source.features[0])


def gather(
    sources: Sequence[Source], histories: Sequence[Int32], k: int, exclude: Sequence[Int32] | None = None
) -> Evidence:
    """The ``k`` candidates of every source together, with what all sources know of them; histories must not be none."""
    readings = [source.read(histories) for source in sources]
    best = [reading.best(k, exclude) for reading in readings]
    items_BM = _distinct(np.concatenate(best, axis=1))
    return Evidence(
        tuple(source_name(source) for source in sources),
        tuple(name for source in sources for name in source.features),
        items_BM,
        torch.cat([reading.features(items_BM.clamp(min=0)) for reading in readings], dim=2),
        torch.stack([_among(items_BM, proposed) for proposed in best], dim=2),
    )


def _distinct(proposed: Int32) -> torch.Tensor:
    """Each item of a row once, in descending order, and as few columns as hold them."""
    items_BM = torch.from_numpy(-np.sort(-proposed.astype(np.int64), axis=1))
    items_BM[:, 1:][items_BM[:, 1:] == items_BM[:, :-1]] = NO_ITEM
    items_BM = items_BM.sort(dim=1, descending=True).values
    return items_BM[:, : int((items_BM != NO_ITEM).sum(dim=1).max())]


def _among(items_BM: torch.Tensor, proposed: Int32) -> torch.Tensor:
    """Which items a source proposed, bool (B, M)."""
    if not proposed.shape[1]:
        return torch.zeros(items_BM.shape, dtype=torch.bool)
    ordered_Bk = torch.from_numpy(np.sort(proposed.astype(np.int64), axis=1))
    places_BM = torch.searchsorted(ordered_Bk, items_BM.contiguous()).clamp_(max=ordered_Bk.shape[1] - 1)
    return (ordered_Bk.gather(1, places_BM) == items_BM) & (items_BM != NO_ITEM)

"""What an epoch holds of every family of tasks."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Generic, Protocol

import numpy as np

from semconv.alignment.batches import E
from semconv.artifacts.examples import ExampleRow
from semconv.artifacts.ragged import Int64

SEQUENTIAL = "sequential"


class Pools(Protocol):
    """Examples by family and number: an artifact that holds them, or what makes them."""

    @property
    def sizes(self) -> Mapping[str, int]:
        """Rows of every family that has any."""
        ...

    def row(self, family: str, number: int) -> ExampleRow:
        """A pure function of its arguments."""
        ...


class Mixture(Generic[E]):
    """The examples of every epoch by number, an `Examples`; so many of each family, one family after the other.

    A family is gone through epoch after epoch in a drawn order, so that all of it is seen before any comes again;
    then in another order.
    """

    def __init__(
        self,
        pools: Pools,
        counts: Mapping[str, int],
        seed: int,
        make: Callable[[ExampleRow], E],
        measure: Callable[[ExampleRow], tuple[int, int]],
    ) -> None:
        """``counts``: examples of each family an epoch, see `epoch_counts`.

        ``make`` turns a row into an example, ``measure`` gives that one's length and target count from how long the
        row's parts are: of rows that lie in a file, no token is read for it.
        """
        self._pools, self._seed, self._make, self._measure = pools, seed, make, measure
        self._families = list(counts)
        self._ends = np.cumsum(list(counts.values()), dtype=np.int64)

    def __len__(self) -> int:
        return int(self._ends[-1])

    def where(self, epoch: int, number: int) -> tuple[str, int]:
        """Family and row of an example."""
        which = int(np.searchsorted(self._ends, number, side="right"))
        begin = int(self._ends[which - 1]) if which else 0
        family, count = self._families[which], int(self._ends[which]) - begin
        size = self._pools.sizes[family]
        turn, place = divmod(epoch * count + number - begin, size)
        return family, int(_order(size, self._seed, family, turn)[place])

    def example(self, epoch: int, number: int) -> E:
        """Example ``number`` of an epoch, a pure function of the seed, the epoch and the number."""
        return self._make(self._pools.row(*self.where(epoch, number)))

    def size(self, epoch: int, number: int) -> tuple[int, int]:
        """See `Examples`."""
        return self._measure(self._pools.row(*self.where(epoch, number)))


def epoch_counts(sizes: Mapping[str, int], weights: Mapping[str, float], sequences: int) -> dict[str, int]:
    """Examples of each family an epoch: its weight times the number of ``sequences``, rounded; empty ones left out."""
    wanted = {family: round(weights[family] * sequences) for family in sizes if sizes[family]}
    return {family: count for family, count in wanted.items() if count}


@lru_cache(maxsize=16)
def _order(size: int, seed: int, family: str, turn: int) -> Int64:
    return np.random.default_rng((seed, zlib.crc32(family.encode()), turn)).permutation(size)

"""From numbered examples to the packed batches of one rank."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, Protocol, Self, TypeVar

import numpy as np

from semconv.alignment.sampler import Sampler
from semconv.packing import spread


class Example(Protocol):
    """Something to learn from."""

    def __len__(self) -> int:
        """Positions it takes."""
        ...

    @property
    def target_count(self) -> int:
        """Targets that its loss sums over."""
        ...


E = TypeVar("E", bound=Example)
E_co = TypeVar("E_co", bound=Example, covariant=True)


class Examples(Protocol[E_co]):
    """The examples of every epoch, by number."""

    def __len__(self) -> int:
        """Examples an epoch."""
        ...

    def example(self, epoch: int, number: int) -> E_co:
        """A pure function of its arguments."""
        ...

    def size(self, epoch: int, number: int) -> tuple[int, int]:
        """Length and target count of `example`, cheaper than to make it."""
        ...


@dataclass(frozen=True)
class Portion:
    """What one rank does of a step: packed batches to be computed one after another.

    ``targets`` are those of this rank, ``positions`` its places with padding, as many as if its examples shared none;
    ``examples``, ``tokens`` and ``all_targets`` those of the whole step.
    """

    parts: list[Any]
    targets: int
    positions: int
    examples: int
    tokens: int
    all_targets: int

    def pinned(self) -> Self:
        """The same in page-locked memory, from which a GPU copies while it computes."""
        return replace(self, parts=[part.pinned() for part in self.parts])


class Batches(Generic[E]):
    """``batches(epoch, step)``, one rank's `Portion` of a step; ``steps`` an epoch, ``len`` examples an epoch."""

    def __init__(
        self,
        examples: Examples[E],
        pack: Callable[[Sequence[E], float], Any],
        *,
        batch_size: int,
        seed: int,
        rank: int = 0,
        world: int = 1,
        accumulate: int = 1,
    ) -> None:
        """``batch_size`` examples over all ranks; ``pack(examples, scale)`` makes a batch.

        A rank's examples are cut into ``accumulate`` batches, or into fewer where there are not so many.
        """
        self._examples, self._pack = examples, pack
        self._rank, self._world, self._accumulate = rank, world, accumulate
        self._sampler = Sampler(len(examples), batch_size, seed, world)
        self.steps = self._sampler.steps

    def __len__(self) -> int:
        return len(self._examples)

    def __call__(self, epoch: int, step: int) -> Portion:
        """The portion, about as many tokens for every rank and in every part. Only this rank's examples are made.

        The scale makes the mean over ranks of their summed losses the mean over all targets of the step.
        """
        numbers = self._sampler.batch(epoch, step)
        sizes = [self._examples.size(epoch, number) for number in numbers.tolist()]
        lengths, targets = np.asarray(sizes, np.int64).reshape(-1, 2).T
        rank_of = spread(lengths, self._world)[0]
        mine = np.flatnonzero(rank_of == self._rank)
        count = max(1, min(self._accumulate, int(np.bincount(rank_of, minlength=self._world).min())))
        part_of = spread(lengths[mine], count)[0]
        scale = self._world / max(1, int(targets.sum()))
        own = [numbers[mine[part_of == part]].tolist() for part in range(count)]
        parts = [self._pack([self._examples.example(epoch, number) for number in part], scale) for part in own]
        return Portion(
            parts,
            targets=int(targets[mine].sum()),
            positions=sum(part.segments_RT.numel() + part.spared for part in parts),
            examples=len(numbers),
            tokens=int(lengths.sum()),
            all_targets=int(targets.sum()),
        )

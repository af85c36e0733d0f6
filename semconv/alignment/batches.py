"""From numbered examples to the packed batches of one rank."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, Protocol, TypeVar

from semconv.alignment.sampler import Sampler


class Example(Protocol):
    """Something to learn from."""

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


class Batches(Generic[E]):
    """``batches(epoch, step)``, the packed batch of one rank; ``steps`` an epoch."""

    def __init__(
        self,
        examples: Examples[E],
        pack: Callable[[Sequence[E], float], Any],
        *,
        batch_size: int,
        seed: int,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        """``batch_size`` examples over all ranks; ``pack(examples, scale)`` makes the batch."""
        self._examples, self._pack = examples, pack
        self._rank, self._world = rank, world
        self._sampler = Sampler(len(examples), batch_size, seed, world)
        self.steps = self._sampler.steps

    def __call__(self, epoch: int, step: int) -> Any:
        """The batch; its scale makes the mean of the ranks' losses the mean over all targets of the step."""
        chosen = [self._examples.example(epoch, int(number)) for number in self._sampler.batch(epoch, step)]
        targets = sum(example.target_count for example in chosen)
        return self._pack(chosen[self._rank :: self._world], self._world / max(1, targets))

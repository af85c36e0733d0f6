"""Steered: all systems as one ranking, with a wish in words among the evidence.

B histories, N items.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from semconv.artifacts.ragged import Int32
from semconv.recommend.blend import Blend
from semconv.recommend.converged import ConvergedRanker
from semconv.recommend.evidence import Reading, Source
from semconv.recommend.ranker import Ranker, Ranking
from semconv.recommend.wish import WishSource
from semconv.recommend.wish_index import says_something


class SteeredRanker:
    """A `Ranker` that takes wishes; without one it gives the list of `unsteered`."""

    def __init__(
        self,
        name: str,
        converged: ConvergedRanker,
        wishes: WishSource,
        blend: Blend,
        counts_N: torch.Tensor,
        ruled: Callable[[Ranker], Ranker] = lambda ranker: ranker,
    ) -> None:
        """``blend`` is of the sources of ``converged``, then the wish; ``counts_N`` rank items of equal score.

        ``ruled`` puts a shop's rules over a ranker.
        """
        self.name = name
        self.converged = converged
        self.unsteered = ruled(converged)
        self.wishes = wishes
        self.blend = blend
        self._counts_N = counts_N
        self._ruled = ruled

    def rank(
        self,
        histories: Sequence[Int32],
        k: int,
        *,
        wishes: Sequence[str] | None = None,
        exclude: Sequence[Int32] | None = None,
    ) -> Ranking:
        """See `Ranker`; ``wishes`` has one for each history, empty for none. Scores are of the blend that ranked.

        Histories that share a wish are ranked together; many with wishes of their own are faster by `towards`.
        """
        rows_by_wish: dict[str, list[int]] = {}
        for row, wish in enumerate(wishes if wishes is not None else [""] * len(histories)):
            rows_by_wish.setdefault(wish if says_something(wish) else "", []).append(row)
        ranking = Ranking(np.zeros((len(histories), k), np.int32), np.zeros((len(histories), k), np.float32))
        for wish, rows in rows_by_wish.items():
            ranker = self._ruled(self.towards([wish])) if wish else self.unsteered
            left_out = [exclude[row] for row in rows] if exclude is not None else None
            found = ranker.rank([histories[row] for row in rows], k, exclude=left_out)
            ranking.items[rows], ranking.scores[rows] = found.items, found.scores
        return ranking

    def towards(self, wishes: Sequence[str]) -> ConvergedRanker:
        """The ranker, without rules, of any histories for one wish, or of as many histories as there are wishes.

        Each wish must say something.
        """
        candidates = self.converged.candidates
        sources = steered_sources(self.converged.sources, self.wishes, wishes, candidates)
        return ConvergedRanker(self.name, sources, self.blend, self._counts_N, candidates)


def steered_sources(
    sources: Sequence[Source], about: WishSource, wishes: Sequence[str], candidates: int
) -> list[Source]:
    """The sources, each proposing what answers the wish as well, then the wish; ``candidates`` as each proposes."""
    wished = about.about(wishes)
    others = [other_N.nonzero()[:, 0].int().numpy() for other_N in ~wished.answers(candidates)]
    return [*(Answering(source, others) for source in sources), wished]


class Answering:
    """A `Source` that proposes its best items, and its best among those that answer the wish."""

    def __init__(self, source: Source, others: Sequence[Int32]) -> None:
        """``others``: the items that do not answer each wish; one wish is the wish of all histories."""
        self._source = source
        self._others = others

    @property
    def features(self) -> tuple[str, ...]:
        """See `Source`."""
        return self._source.features

    def read(self, histories: Sequence[Int32]) -> Reading:
        """See `Source`."""
        others = list(self._others) * len(histories) if len(self._others) == 1 else self._others
        return _Answering(self._source.read(histories), others)


class _Answering:
    """A `Reading`."""

    def __init__(self, reading: Reading, others: Sequence[Int32]) -> None:
        self._reading = reading
        self._others = others

    def best(self, k: int, exclude: Sequence[Int32] | None) -> Int32:
        """Both lists side by side, int32 (B, 2k)."""
        barred: Sequence[Int32] = self._others
        if exclude is not None:
            barred = [np.union1d(*pair).astype(np.int32) for pair in zip(exclude, self._others, strict=True)]
        return np.concatenate([self._reading.best(k, exclude), self._reading.best(k, barred)], axis=1)

    def features(self, items_BM: torch.Tensor) -> torch.Tensor:
        """See `Reading`."""
        return self._reading.features(items_BM)

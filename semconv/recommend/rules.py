"""Rules a shop sets: items that are never recommended, and how many of one category a list may hold.

An item's category is the rarest that it has: a cap is on nail polishes, not on all of make-up. An item without
categories is not capped. A list is chosen greedily from the best item down, which no other choice beats in the sum of
scores, since every item counts towards one cap only (a partition matroid, Edmonds 1971).

N items, B histories.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from semconv.artifacts import Corpus
from semconv.artifacts.ragged import Int32, Int64
from semconv.config import RecommendSettings
from semconv.errors import SettingError
from semconv.recommend.ranker import NO_ITEM, Ranker, Ranking
from semconv.tokens.categories import NO_KIND, kinds


@dataclass(frozen=True)
class Rules:
    """``blocked`` items, int32; the capped category of every item, int64 (N), `NO_KIND` where none; the cap."""

    blocked: Int32
    category_N: Int64
    per_category: int

    @classmethod
    def of(cls, corpus: Corpus, chosen: RecommendSettings) -> Rules:
        """The rules for a catalogue.

        Raises `SettingError` for blocked ids that it does not have, and for a cap where no item has a category.
        """
        unknown = [item_id for item_id in chosen.blocked if item_id not in corpus.item_index]
        if unknown:
            raise SettingError(
                f"{len(unknown)} ids of recommend.blocked are not items of {corpus.path}, such as '{unknown[0]}'",
                "Take them out, or give ids as the catalogue spells them",
            )
        blocked = np.asarray([corpus.item_index[item_id] for item_id in chosen.blocked], np.int32)
        if not chosen.per_category:
            return cls(blocked, np.full(corpus.n_items, NO_KIND, np.int64), 0)
        category_N = kinds(corpus.items["categories"].to_pylist())
        if (category_N == NO_KIND).all():
            raise SettingError(
                f"recommend.per_category is {chosen.per_category}, and no item of {corpus.path} has a category",
                "Leave it out, or read the items with their categories",
            )
        return cls(blocked, category_N, chosen.per_category)

    def over(self, ranker: Ranker, depth: int) -> Ranker:
        """The ranker itself if there is no rule, else `Ruled`."""
        ruled = len(self.blocked) or (self.category_N != NO_KIND).any()
        return Ruled(ranker, self, depth) if ruled else ranker

    def allowed(self, items: Int32) -> Int64:
        """Places of the items, best first, that may stay in a list, int64: greedily from the first."""
        places = np.flatnonzero(~np.isin(items, self.blocked))
        categories = self.category_N[items[places]]
        order = np.argsort(categories, kind="stable")
        in_order = categories[order]
        nth = np.empty_like(order)
        nth[order] = np.arange(len(order)) - np.searchsorted(in_order, in_order)
        kept: Int64 = places[(nth < self.per_category) | (categories == NO_KIND)]
        return kept

    def full(self, items: Int32) -> Int32:
        """All items of the categories of which a list of these has as many as it may, int32."""
        found, counts = np.unique(self.category_N[items], return_counts=True)
        capped = found[(counts >= self.per_category) & (found != NO_KIND)]
        return np.flatnonzero(np.isin(self.category_N, capped)).astype(np.int32)


class Ruled:
    """A `Ranker` that gives what another one does, as far as the rules allow it."""

    def __init__(self, ranker: Ranker, rules: Rules, depth: int) -> None:
        """``depth``: items that ``ranker`` looks at anyway, so that to ask for as many costs and changes nothing."""
        self.name = ranker.name
        self.ranker = ranker
        self.rules = rules
        self._depth = depth

    def rank(self, histories: Sequence[Int32], k: int, *, exclude: Sequence[Int32] | None = None) -> Ranking:
        """See `Ranker`; k items come back whenever the rules let k legal ones stand side by side.

        A list that the cap leaves short is asked for again, without the items it has and the categories that are full:
        each time one more category at least is full, or the list is, or no legal item is left. A list depends on its
        own history alone, not on the batch.
        """
        barred = [self.rules.blocked] * len(histories)
        if exclude is not None:
            barred = [np.concatenate([self.rules.blocked, items]).astype(np.int32) for items in exclude]
        lists = [(np.zeros(0, np.int32), np.zeros(0, np.float32))] * len(histories)
        rows = list(range(len(histories)))
        while rows:
            found = self.ranker.rank(
                [histories[row] for row in rows], max(k, self._depth), exclude=[barred[row] for row in rows]
            )
            short = []
            for row, items, scores in zip(rows, found.items, found.scores, strict=True):
                legal = items != NO_ITEM
                items_X = np.concatenate([lists[row][0], items[legal]])
                scores_X = np.concatenate([lists[row][1], scores[legal]])
                kept = self.rules.allowed(items_X)[:k]
                lists[row] = items_X[kept], scores_X[kept]
                if len(kept) < k and legal.all():
                    barred[row] = np.concatenate([barred[row], items_X[kept], self.rules.full(items_X[kept])])
                    short.append(row)
            rows = short
        return _stacked(lists, k)


def _stacked(lists: Sequence[tuple[Int32, npt.NDArray[np.float32]]], k: int) -> Ranking:
    """The lists as one ranking, each by its scores: what a source proposes when asked again may be better."""
    ranking = Ranking(np.full((len(lists), k), NO_ITEM, np.int32), np.full((len(lists), k), -np.inf, np.float32))
    for row, (items, scores) in enumerate(lists):
        order = np.argsort(-scores, kind="stable")
        ranking.items[row, : len(items)] = items[order]
        ranking.scores[row, : len(items)] = scores[order]
    return ranking

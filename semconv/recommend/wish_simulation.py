"""Wishes of people who know what they will take: words that describe an item, as its taker might have asked for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import pyarrow as pa

from semconv.alignment.categories import TellingCategories
from semconv.alignment.phrases import Phrases
from semconv.artifacts.ragged import Int32
from semconv.recommend.wish_index import says_something

Kind = Literal["phrase", "category", "brand"]
KINDS: tuple[Kind, ...] = get_args(Kind)


class WishSimulation:
    """Wishes for the items of a catalogue: a phrase of the title, a telling category, or the brand."""

    def __init__(self, items: pa.Table) -> None:
        """``items`` has schema `ITEMS`."""
        self._phrases = Phrases(items["title"].to_pylist())
        self._phrased_N = self._phrases.has()
        self._categories = TellingCategories(items)
        self._brands = [(brand or "").strip() for brand in items["brand"].to_pylist()]

    def kinds(self, item: int) -> list[Kind]:
        """What an item can be asked for by."""
        has = (self._phrased_N[item], bool(self._telling(item)), says_something(self._brands[item]))
        return [kind for kind, there in zip(KINDS, has, strict=True) if there]

    def wish(self, item: int, kind: Kind, random: np.random.Generator) -> str:
        """A wish for an item, which must have this kind."""
        if kind == "phrase":
            return self._phrases.phrase(item, random)
        if kind == "brand":
            return self._brands[item]
        names = self._telling(item)
        return names[int(random.integers(len(names)))]

    def wishes(self, targets: Sequence[int] | Int32, seed: int) -> list[str]:
        """A wish for each item, its kind drawn evenly among those it has; empty where it has none."""
        random, found = np.random.default_rng(seed), []
        for item in map(int, targets):
            kinds = self.kinds(item)
            kind = kinds[int(random.integers(len(kinds)))] if kinds else None
            found.append(self.wish(item, kind, random) if kind else "")
        return found

    def _telling(self, item: int) -> list[str]:
        return [name for name in self._categories.of(item) if says_something(name)]

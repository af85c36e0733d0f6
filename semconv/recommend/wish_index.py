"""Which items a few words speak of: an inverted index of a catalogue's words, brands and categories.

Words that few items have tell more (inverse document frequency, Sparck Jones 1972). N items.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from semconv.alignment.phrases import words_of
from semconv.artifacts.ragged import Int64

Float32 = npt.NDArray[np.float32]
_PART = re.compile(r"[^\W_]+")


def plain(text: str | None) -> str:
    """A name or a wish in lower case, its letters and digits alone, single spaces between: how names are compared."""
    return " ".join(_PART.findall((text or "").lower()))


def says_something(wish: str) -> bool:
    """Whether there is a letter or a digit in it; a wish without either is none."""
    return bool(plain(wish))


class Postings:
    """The items that have a term, by term (Zobel & Moffat 2006)."""

    def __init__(self, terms_N: Iterable[Iterable[str]]) -> None:
        """``terms_N``: what each item has; an empty term is none."""
        found: dict[str, list[int]] = {}
        n_items = 0
        for item, terms in enumerate(terms_N):
            n_items += 1
            for term in dict.fromkeys(terms):
                if term:
                    found.setdefault(term, []).append(item)
        self._items = {term: np.asarray(items, np.int64) for term, items in found.items()}
        self._none = np.zeros(0, np.int64)
        self.n_items = n_items
        self.longest = max((len(term.split()) for term in found), default=0)

    def items(self, term: str) -> Int64:
        """Items that have the term, ascending; none where nobody knows it."""
        return self._items.get(term, self._none)

    def rarity(self, term: str) -> float:
        """Logarithm of all items over those that have the term, one added to both."""
        return float(np.log((1 + self.n_items) / (1 + len(self.items(term)))))


class WishIndex:
    """Words of title, brand and categories together; brands and categories by their whole names."""

    def __init__(self, items: pa.Table) -> None:
        """``items`` has schema `ITEMS`."""
        titles, brands = items["title"].to_pylist(), items["brand"].to_pylist()
        categories = [[name for name in names or () if name] for names in items["categories"].to_pylist()]
        said = zip(titles, brands, categories, strict=True)
        self._words = Postings(words_of(_said(title, brand, names)) for title, brand, names in said)
        self._brands = Postings([plain(brand)] for brand in brands)
        self._categories = Postings(map(plain, names) for names in categories)

    def words(self, wish: str) -> Float32:
        """Weight of the wish's words that an item has, as a share of the most that any item has: float32 (N)."""
        weights_N = self.weights(wish)
        most = float(weights_N.max(initial=0.0))
        return weights_N / np.float32(most) if most > 0 else weights_N

    def weights(self, wish: str) -> Float32:
        """Summed rarity of the wish's words that an item has, float32 (N)."""
        weights_N = np.zeros(self._words.n_items, np.float32)
        for word in words_of(wish):
            weights_N[self._words.items(word)] += self._words.rarity(word)
        return weights_N

    def weight(self, wish: str, title: str | None, brand: str | None, categories: Iterable[str]) -> float:
        """What `weights` would be for an item of which this is said."""
        said = set(words_of(_said(title, brand, categories)))
        return sum(self._words.rarity(word) for word in words_of(wish) if word in said)

    def brand(self, wish: str) -> Float32:
        """Share of the wish that names an item's brand, 1 where it is nothing but the brand: float32 (N)."""
        return _named(plain(wish).split(), self._brands)

    def categories(self, wish: str) -> Float32:
        """Share of the wish that names a category of an item, the longest such name counting: float32 (N)."""
        return _named(plain(wish).split(), self._categories)

    def match(self, wish: str) -> Float32:
        """How well items match a wish: the best of words, brand and categories, in [0, 1], float32 (N)."""
        return np.maximum(self.words(wish), np.maximum(self.brand(wish), self.categories(wish)))

    def of_brand(self, name: str) -> Int64:
        """Items of this brand, ascending; names are compared as `plain` has them."""
        return self._brands.items(plain(name))

    def in_category(self, name: str) -> Int64:
        """Items that have this category, ascending; names are compared as `plain` has them."""
        return self._categories.items(plain(name))


def _said(title: str | None, brand: str | None, categories: Iterable[str]) -> str:
    return " ".join([title or "", brand or "", *categories])


def _named(parts: Sequence[str], names: Postings) -> Float32:
    share_N = np.zeros(names.n_items, np.float32)
    for length in range(1, min(len(parts), names.longest) + 1):  # longer names overwrite shorter ones
        for start in range(len(parts) - length + 1):
            share_N[names.items(" ".join(parts[start : start + length]))] = length / len(parts)
    return share_N

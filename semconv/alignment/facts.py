"""What the catalogue says of an item, in words and in token ids.

N items.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from semconv.alignment.categories import TellingCategories
from semconv.artifacts.ragged import Int32
from semconv.llm.vocabulary import PlainText

LIMITS = {"title": 32, "brand": 8, "categories": 24, "description": 48}
"""Tokens of each fact that a model reads, at most."""
SHARE = 4
"""No fact takes more than one part in so many of what the model reads at once."""
CACHED = 65_536

Mask = npt.NDArray[np.bool_]


class Facts:
    """Title, brand, categories and description of every item; ``plain`` keeps them from saying codes."""

    def __init__(self, items: pa.Table, plain: PlainText, context: int) -> None:
        """``items`` has schema `ITEMS`; ``context`` is the longest text the model reads (tokens)."""
        self._items, self._plain = items, plain
        self.limits = {name: max(1, min(limit, context // SHARE)) for name, limit in LIMITS.items()}
        self.ids = lru_cache(maxsize=CACHED)(self._ids)
        self._categories = TellingCategories(items)

    def has(self, name: str) -> Mask:
        """Which items say anything under this name, bool (N); ``category``: one that `telling` gives."""
        if name == "category":
            return self._categories.has()
        column = self._items[name]
        sizes = (
            pc.list_value_length(column) if name == "categories" else pc.utf8_length(pc.utf8_trim_whitespace(column))
        )
        return np.asarray(pc.fill_null(pc.greater(sizes, 0), False), np.bool_)

    def text(self, item: int, name: str) -> str:
        """The fact in words, empty where there is none; categories joined by commas."""
        value = self._items[name][item].as_py()
        if name == "categories":
            value = ", ".join(part.strip() for part in value or () if part and part.strip())
        return (value or "").strip()

    def telling(self, item: int) -> list[str]:
        """Categories of an item that at most half of the catalogue shares, widest first as the catalogue has them."""
        return self._categories.of(item)

    def _ids(self, item: int, name: str) -> Int32:
        """Token ids of the fact, int32, cut to its limit."""
        return self._plain(self.text(item, name), self.limits[name])

    def fitting(self, names: list[str], limit: str = "title") -> list[str]:
        """As many of the names, from the first, as can be said as a whole; the first one always."""
        return next(
            (
                names[:many]
                for many in range(len(names), 1, -1)
                if len(self._plain(", ".join(names[:many]))) <= self.limits[limit]
            ),
            names[:1],
        )

    def spell_names(self, names: list[str], limit: str = "title") -> Int32:
        """Token ids of the names that are `fitting`, joined by commas, int32."""
        return self.spell(", ".join(self.fitting(names, limit)), limit)

    def spell(self, text: str, limit: str = "title") -> Int32:
        """Token ids of other words, int32, cut as the fact named by ``limit`` is."""
        return self._plain(text, self.limits[limit])

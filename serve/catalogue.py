"""The catalogue of a snapshot, as requests ask about it: names by index, items by name, order of popularity."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from functools import cached_property

import numpy as np
import numpy.typing as npt

from semconv.artifacts import TopKSnapshot
from semconv.artifacts.ragged import Int32, Int64
from semconv.artifacts.topk_catalogue import CatalogueItem
from semconv.recommend.rules import Rules
from semconv.recommend.wish_index import WishIndex, plain
from semconv.tokens.categories import NO_KIND, kinds

Mask = npt.NDArray[np.bool_]
"""What is asked of every item, bool (N)."""
NAMES = 100_000
"""Items whose id and title are kept as Python strings, at most; the others are read where they lie."""


class Catalogue:
    """N items of a mapped snapshot, which does not change; what the shop has said since is `serve.shelf`'s."""

    def __init__(self, snapshot: TopKSnapshot) -> None:
        self.snapshot = snapshot
        self.filter_seen = bool(snapshot.manifest.settings["precache"]["filter_seen"])
        self._names: dict[int, tuple[str, str | None]] = {}
        self._building = threading.Lock()
        self._index: WishIndex | None = None

    @property
    def n_items(self) -> int:
        """Items, N."""
        return self.snapshot.n_items

    def name(self, index: int) -> tuple[str, str | None]:
        """Id and title of an item by its index."""
        name = self._names.get(index)
        if name is None:
            if len(self._names) >= NAMES:
                self._names.clear()
            name = self._names[index] = self.snapshot.item(index)[:2]
        return name

    def indices(self, item_ids: Iterable[str]) -> list[int]:
        """Indices of the ids that the catalogue holds, in the order given."""
        found = map(self.snapshot.item_index, item_ids)
        return [index for index in found if index is not None]

    @cached_property
    def popularity(self) -> Int64:
        """How often each item was bought, int64 (N)."""
        return self.snapshot.catalogue["popularity"].to_numpy()  # type: ignore[no-any-return]

    @property
    def most_popular(self) -> Int32:
        """The first of `by_popularity`, which the snapshot keeps: int32."""
        return self.snapshot.popular[0]

    @cached_property
    def by_popularity(self) -> Int32:
        """Items that may be recommended, the most popular first, ties by index: int32."""
        order = np.argsort(-self.popularity, kind="stable").astype(np.int32)
        return order[~np.isin(order, self.snapshot.blocked)]

    @property
    def indexed(self) -> bool:
        """Whether `index` is there already."""
        return self._index is not None

    @property
    def index(self) -> WishIndex:
        """Items by words, brand and category; whoever asks first builds it, some 20 microseconds an item."""
        with self._building:
            if self._index is None:
                self._index = WishIndex(self.snapshot.catalogue)
            return self._index

    @cached_property
    def rules(self) -> Rules:
        """The shop's rules that the lists of the snapshot keep."""
        cap = int(self.snapshot.manifest.settings["recommend"].get("per_category", 0))
        if not cap:
            return Rules(self.snapshot.blocked, np.full(self.n_items, NO_KIND, np.int64), 0)
        return Rules(self.snapshot.blocked, kinds(self.snapshot.catalogue["categories"].to_pylist()), cap)

    def matching(self, category: str | None, brand: str | None) -> Mask:
        """Items of this category and this brand, None or "" for any: bool (N)."""
        matching_N = np.ones(self.n_items, np.bool_)
        for name, find in ((category, self.index.in_category), (brand, self.index.of_brand)):
            if name:
                asked_N = np.zeros(self.n_items, np.bool_)
                asked_N[find(name)] = True
                matching_N &= asked_N
        return matching_N


def fits(item: CatalogueItem, category: str | None, brand: str | None) -> bool:
    """Whether an item has this category and is of this brand, None or "" for any; as `Catalogue.matching`."""
    return (not brand or _same(brand, item.brand)) and (
        not category or any(_same(category, name) for name in item.categories)
    )


def _same(asked: str, name: str | None) -> bool:
    return plain(name) == plain(asked) != ""

"""The shelf: a snapshot's catalogue with what the shop has said of items since, as one request sees it.

N items of the snapshot. Items that the shop has added since have no index: they can be found, and not be recommended.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from semconv.artifacts.ragged import Int32
from semconv.artifacts.topk_catalogue import CatalogueItem
from semconv.artifacts.topk_shard import Known
from serve.bundle import Bundle
from serve.catalogue import Mask, fits
from serve.questions import LiveQuestion, Wanted
from serve.state import ShopState
from serve.unavailable import Unavailable


class UnknownItemsError(Exception):
    """Ids that name no item, in ``items``."""

    def __init__(self, items: Sequence[str]) -> None:
        super().__init__(f"unknown items: {', '.join(items[:10])}")
        self.items = list(items)


class Person(NamedTuple):
    """A user as the snapshot and the log know them: the snapshot's row, if it still holds, and item ids since."""

    known: Known | None
    new: list[str]


class Shelf:
    """One bundle with the shop's state over it. To make one takes as long as to look up all that is out of stock."""

    def __init__(self, bundle: Bundle, state: ShopState) -> None:
        self.bundle = bundle
        self.catalogue = bundle.catalogue
        self.snapshot = bundle.snapshot
        self.after = state.through(bundle.snapshot.events)
        """The last entry of the log that the snapshot holds."""
        self._state = state
        self._unavailable = Unavailable(bundle.catalogue, state)

    def person(self, user_id: str) -> Person | None:
        """What is known of a user; None for one whom nobody knows. An erased one begins anew with later events."""
        erased = self._state.erased(user_id, self.after)
        known = None if erased else self.snapshot.lookup(user_id)
        new = self._state.events(user_id, self.after)
        return Person(known, new) if known is not None or new else None

    def history(self, person: Person) -> list[int]:
        """Indices of what a user did, oldest first; items that the catalogue does not hold are left out."""
        return [*_before(person), *self.catalogue.indices(person.new)]

    def told(self, person: Person) -> list[dict[str, Any]]:
        """Id and title of what a user did, oldest first."""
        before = [self.item(index) for index in _before(person)]
        since = [self._changed(item_id, self.snapshot.item_index(item_id)) for item_id in person.new]
        return [{"item_id": item.item_id, "title": item.title} for item in (*before, *since)]

    def first(self, items: Sequence[int], scores: Sequence[float], wanted: Wanted) -> list[dict[str, Any]]:
        """The best of ranked items that are to be had and asked for, ``wanted.k`` at most, as answers show them."""
        unavailable, changes, exclude = self._state.unavailable, self._state.items, wanted.exclude
        name, k = self.catalogue.name, wanted.k
        filtered = bool(wanted.category or wanted.brand)
        if not (filtered or exclude or changes):
            return [_shown(*name(index), score) for index, score in zip(items[:k], scores[:k], strict=True)]
        shown: list[dict[str, Any]] = []
        for index, score in zip(items, scores, strict=True):
            item_id, title = name(index)
            if item_id in unavailable or item_id in exclude:
                continue
            if filtered or item_id in changes:
                item = self.item(index)
                if not fits(item, wanted.category, wanted.brand):
                    continue
                title = item.title
            shown.append(_shown(item_id, title, score))
            if len(shown) == k:
                break
        return shown

    def allowed(self, wanted: Wanted, history: Sequence[int]) -> Mask:
        """Items that may be recommended after a history to who asks for this: bool (N)."""
        allowed_N = self.matching(wanted)
        allowed_N[self.snapshot.blocked] = False
        allowed_N[self.left_out(wanted)] = False
        if self.catalogue.filter_seen:
            allowed_N[list(history)] = False
        return allowed_N

    def matching(self, wanted: Wanted) -> Mask:
        """Items of the category and the brand that are asked for, by what the shop says now: bool (N)."""
        matching_N = self.catalogue.matching(wanted.category, wanted.brand)
        if wanted.category or wanted.brand:
            for index, item in self.renamed():
                if index is not None:
                    matching_N[index] = fits(item, wanted.category, wanted.brand)
        return matching_N

    def left_out(self, wanted: Wanted) -> Int32:
        """Indices of the items that are not to be had, and of those that a request leaves out, int32."""
        asked = np.asarray(self.catalogue.indices(wanted.exclude), np.int32)
        return np.concatenate([self._unavailable.indices(), asked])

    def question(self, history: Sequence[int], wanted: Wanted, k: int, budget_s: float) -> LiveQuestion:
        """What to ask the live model, which knows the items by the snapshot's words alone.

        Where the shop has said other words since, those that do not fit are named one by one.
        """
        category, brand, exclude = wanted.category, wanted.brand, self.left_out(wanted)
        if (category or brand) and any(True for _ in self.renamed()):
            exclude = np.concatenate([exclude, np.flatnonzero(~self.matching(wanted)).astype(np.int32)])
            category = brand = None
        return LiveQuestion(
            snapshot=self.snapshot.fingerprint,
            history=tuple(history),
            k=k,
            exclude=exclude,
            category=category,
            brand=brand,
            wish=wanted.wish,
            budget_s=budget_s,
        )

    def renamed(self) -> Iterator[tuple[int | None, CatalogueItem]]:
        """Items of which the shop says other words than the snapshot, by index (None: it does not hold them)."""
        for change in list(self._state.items.values()):
            if not (change.title is None and change.brand is None and change.categories is None):
                index = self.snapshot.item_index(change.item_id)
                yield index, self._changed(change.item_id, index)

    def item(self, index: int) -> CatalogueItem:
        """What is said of an item of the snapshot now."""
        return self._changed(self.catalogue.name(index)[0], index)

    def find(self, item_id: str) -> tuple[int | None, CatalogueItem] | None:
        """An item by its id, with its index if the snapshot holds it; None for an unknown or deleted one."""
        index, change = self.snapshot.item_index(item_id), self._state.items.get(item_id)
        gone = index is None if change is None else change.deleted
        return None if gone else (index, self._changed(item_id, index))

    def knew(self, item_id: str) -> bool:
        """Whether there is or was an item of this id: events of items that were taken out may still arrive."""
        return item_id in self._state.items or self.snapshot.item_index(item_id) is not None

    def card(self, item_id: str) -> dict[str, Any] | None:
        """``item_id``, ``title``, ``brand``, ``categories``, ``available``; None as `find`."""
        found = self.find(item_id)
        return None if found is None else {**found[1]._asdict(), "available": item_id not in self._state.unavailable}

    def view(self, item_id: str) -> dict[str, Any] | None:
        """All that is known of an item: `card`, ``codes`` (None where the snapshot has none), ``recommendable``."""
        card, index = self.card(item_id), self.snapshot.item_index(item_id)
        if card is None:
            return None
        codes = None if index is None else self.snapshot.codes(index)
        recommendable = card["available"] and index is not None and index not in self.snapshot.blocked
        return {**card, "codes": codes, "recommendable": recommendable}

    def _changed(self, item_id: str, index: int | None) -> CatalogueItem:
        """What the snapshot says of an item, and the shop over it; nothing is said of an item that neither knows."""
        item = CatalogueItem(item_id, None, None, ()) if index is None else self.snapshot.item(index)
        change = self._state.items.get(item_id)
        if change is None:
            return item
        said = {name: getattr(change, name) for name in ("title", "brand", "categories")}
        return item._replace(**{name: value for name, value in said.items() if value is not None})


def _before(person: Person) -> list[int]:
    return person.known.history.tolist() if person.known is not None else []


def _shown(item_id: str, title: str | None, score: float) -> dict[str, Any]:
    """An item of an answer; six digits of a score are told, which `round` itself takes three times as long to give."""
    return {"item_id": item_id, "title": title, "score": round(score * 1e6) / 1e6}

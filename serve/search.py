"""Finding items by words: those with the rarest words first, equal ones by popularity."""

from __future__ import annotations

from collections.abc import Iterator
from heapq import merge
from itertools import chain, islice
from typing import Any

import numpy as np

from serve.shelf import Shelf

_Found = tuple[float, int, str]
"""What is sorted by: weight and popularity, both negated, then the id."""


def search(shelf: Shelf, query: str, limit: int) -> list[dict[str, Any]]:
    """Items as `Shelf.card` gives them, at most ``limit``: first the one of that id, then those that share a word."""
    found = merge(_in_snapshot(shelf, query), sorted(_renamed(shelf, query)))
    ids = chain([query], (item_id for _, _, item_id in found if item_id != query))
    cards = map(shelf.card, ids)
    return list(islice((card for card in cards if card is not None), limit))


def _in_snapshot(shelf: Shelf, query: str) -> Iterator[_Found]:
    """Items that are called what the snapshot calls them."""
    catalogue = shelf.catalogue
    weights_N, popularity = catalogue.index.weights(query), catalogue.popularity
    weights_N[[index for index, _ in shelf.renamed() if index is not None]] = 0
    items = np.flatnonzero(weights_N)
    for index in items[np.lexsort((-popularity[items], -weights_N[items]))].tolist():
        yield -float(weights_N[index]), -int(popularity[index]), catalogue.name(index)[0]


def _renamed(shelf: Shelf, query: str) -> Iterator[_Found]:
    """Items that the shop has renamed, or added."""
    for index, item in shelf.renamed():
        weight = shelf.catalogue.index.weight(query, item.title, item.brand, item.categories)
        if weight:
            yield -weight, 0 if index is None else -int(shelf.catalogue.popularity[index]), item.item_id

"""Textual tasks: items and what the catalogue says of them, both ways, with and without a history."""

from __future__ import annotations

from functools import partial

import numpy as np

from semconv.alignment.shop import Shop
from semconv.alignment.task import HISTORY, TITLES, Parts, Task, one
from semconv.artifacts.ragged import Int32, Int64

FAMILY = "textual"
SAID_TITLES = 5
"""Latest titles of a history that are said."""


def _items(shop: Shop, fact: str) -> Int64:
    return shop.items(fact)


def _places(shop: Shop, fact: str) -> Int64:
    return shop.places(fact)


def _fact(shop: Shop, item: int, _random: np.random.Generator, fact: str) -> Parts:
    return {fact: shop.facts.ids(item, fact), "item": one(item)}


def _with_history(shop: Shop, place: int, _random: np.random.Generator) -> Parts:
    history, item = shop.before(place)
    return {HISTORY: history, "title": shop.facts.ids(item, "title"), "item": one(item)}


def said_titles(shop: Shop, history: Int32) -> list[Int32]:
    """Token ids of the latest titles of a history; items without one, and those held out, are passed over."""
    spoken = history[np.isin(history, shop.items("title"))]
    return [shop.facts.ids(int(item), "title") for item in spoken[-SAID_TITLES:]]


def _titles(shop: Shop, place: int, _random: np.random.Generator) -> Parts:
    history, item = shop.before(place)
    return {TITLES: said_titles(shop, history), "item": one(item)}


def _title_tasks() -> list[Task]:
    titled, followed = partial(_items, fact="title"), partial(_places, fact="title")
    return [
        Task("title_to_item", FAMILY, ("title", "item"), titled, partial(_fact, fact="title"), compact=True),
        Task("titles_to_item", FAMILY, (TITLES, "item"), followed, _titles),
        Task("history_to_title", FAMILY, (HISTORY, "title"), followed, _with_history),
        Task("title_and_history_to_item", FAMILY, (HISTORY, "title", "item"), followed, _with_history, compact=True),
    ]


TASKS = (
    *_title_tasks(),
    *(
        Task(f"item_to_{fact}", FAMILY, ("item", fact), partial(_items, fact=fact), partial(_fact, fact=fact))
        for fact in ("title", "brand", "categories", "description")
    ),
    Task(
        "description_to_item",
        FAMILY,
        ("description", "item"),
        partial(_items, fact="description"),
        partial(_fact, fact="description"),
        compact=True,
    ),
)

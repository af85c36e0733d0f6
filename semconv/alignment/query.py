"""Query tasks: what somebody asks for in words, with and without a history, and the item that answers it."""

from __future__ import annotations

from functools import partial

import numpy as np

from semconv.alignment.shop import PHRASE, Shop
from semconv.alignment.task import HISTORY, Parts, Task, one
from semconv.artifacts.ragged import Int64

FAMILY = "query"


def _phrase(shop: Shop, item: int, random: np.random.Generator) -> Parts:
    return {PHRASE: shop.facts.spell(shop.phrases.phrase(item, random)), "item": one(item)}


def _phrase_after(shop: Shop, place: int, random: np.random.Generator) -> Parts:
    history, item = shop.before(place)
    return {HISTORY: history, **_phrase(shop, item, random)}


def _category(shop: Shop, place: int, random: np.random.Generator) -> Parts:
    history, item = shop.before(place)
    names = shop.facts.telling(item)
    wish = shop.facts.spell(names[int(random.integers(len(names)))], "categories")
    return {HISTORY: history, "category": wish, "item": one(item)}


def _brand(shop: Shop, place: int, _random: np.random.Generator) -> Parts:
    history, item = shop.before(place)
    return {HISTORY: history, "brand": shop.facts.ids(item, "brand"), "item": one(item)}


def _phrased(shop: Shop) -> Int64:
    return shop.items(PHRASE)


def _followed(shop: Shop, name: str) -> Int64:
    return shop.places(name)


TASKS = (
    Task("phrase_to_item", FAMILY, (PHRASE, "item"), _phrased, _phrase, compact=True),
    Task(
        "phrase_and_history_to_item",
        FAMILY,
        (HISTORY, PHRASE, "item"),
        partial(_followed, name=PHRASE),
        _phrase_after,
        compact=True,
    ),
    Task(
        "category_and_history_to_item",
        FAMILY,
        (HISTORY, "category", "item"),
        partial(_followed, name="category"),
        _category,
        compact=True,
    ),
    Task(
        "brand_and_history_to_item",
        FAMILY,
        (HISTORY, "brand", "item"),
        partial(_followed, name="brand"),
        _brand,
        compact=True,
    ),
)

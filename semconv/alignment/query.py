"""Query tasks: what somebody asks for in words, with and without a history, and the item that answers it."""

from __future__ import annotations

from collections.abc import Callable
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


def _wished(shop: Shop, wish: str) -> Int64:
    return shop.places(wish)


def _after_history(wish: str, parts: Callable[[Shop, int, np.random.Generator], Parts]) -> Task:
    """History and a wish to the item that came next."""
    places = (HISTORY, wish, "item")
    return Task(f"{wish}_and_history_to_item", FAMILY, places, partial(_wished, wish=wish), parts, compact=True)


def _phrased(shop: Shop) -> Int64:
    return shop.items(PHRASE)


TASKS = (
    Task("phrase_to_item", FAMILY, (PHRASE, "item"), _phrased, _phrase, compact=True),
    _after_history(PHRASE, _phrase_after),
    _after_history("category", _category),
    _after_history("brand", _brand),
)

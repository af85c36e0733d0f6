"""Preference tasks: a history, and the categories and brands that show in it most often, in words."""

from __future__ import annotations

from collections import Counter

import numpy as np

from semconv.alignment.facts import Facts
from semconv.alignment.shop import Shop
from semconv.alignment.task import HISTORY, Parts, Task
from semconv.artifacts.ragged import Int32

FAMILY = "preference"
CATEGORIES, BRANDS = 3, 2
"""Named at most."""


def liked(facts: Facts, history: Int32) -> list[str]:
    """The telling categories, then the brands, that most items of a history have; the latest first among equals."""
    items = [int(item) for item in history[::-1]]
    categories = Counter(name for item in items for name in facts.telling(item))
    brands = Counter(name for item in items if (name := facts.text(item, "brand")))
    return [
        name for counted, most in ((categories, CATEGORIES), (brands, BRANDS)) for name, _ in counted.most_common(most)
    ]


def _liked(shop: Shop, place: int, _random: np.random.Generator) -> Parts:
    before, item = shop.before(place)
    history = np.append(before, np.int32(item))[-shop.max_history :]
    return {HISTORY: history, "likes": shop.facts.spell_names(liked(shop.facts, history))}


TASKS = (Task("history_to_likes", FAMILY, (HISTORY, "likes"), Shop.liked_places, _liked),)

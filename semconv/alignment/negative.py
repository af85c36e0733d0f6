"""Negative tasks: a history and a candidate, yes or no; a history and two or four candidates, the one chosen."""

from __future__ import annotations

import numpy as np

from semconv.alignment.negatives import KINDS
from semconv.alignment.shop import Shop
from semconv.alignment.task import HISTORY, Parts, Task, one
from semconv.artifacts.ragged import Int32, Int64

FAMILY = "negative"
YES, NO = "yes", "no"
CANDIDATES = (2, 4)


def _asked(shop: Shop) -> Int64:
    return shop.asked_places(max(CANDIDATES))


def _owned(shop: Shop, place: int) -> Int32:
    """Everything the user has bought in training: what comes later is no negative either."""
    return shop.training[shop.user(place)]


def _yes_or_no(shop: Shop, place: int, random: np.random.Generator) -> Parts:
    history, item = shop.before(place)
    right = bool(random.integers(2))
    if not right:
        kind = KINDS[int(random.integers(len(KINDS)))]
        item = int(shop.negatives.draw(kind, item, _owned(shop, place), 1, random)[0])
    return {HISTORY: history, "candidate": one(item), "answer": shop.facts.spell(YES if right else NO)}


def _choice(shop: Shop, place: int, random: np.random.Generator) -> Parts:
    history, item = shop.before(place)
    many = CANDIDATES[int(random.integers(len(CANDIDATES)))]
    owned, wrong = _owned(shop, place), list[int]()
    for _ in range(many - 1):
        kind = KINDS[int(random.integers(len(KINDS)))]
        barred = np.concatenate([owned, np.asarray(wrong, np.int32)])
        wrong += shop.negatives.draw(kind, item, barred, 1, random).tolist()
    candidates = random.permutation(np.asarray([item, *wrong], np.int32))
    return {HISTORY: history, "candidates": candidates, "item": one(item)}


TASKS = (
    Task("yes_or_no", FAMILY, (HISTORY, "candidate", "answer"), _asked, _yes_or_no),
    Task("choice", FAMILY, (HISTORY, "candidates", "item"), _asked, _choice),
)

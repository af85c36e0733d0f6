"""A task: what an example of it is about, what is said in it, and what is answered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from semconv.alignment.shop import Shop
from semconv.artifacts.ragged import Int32, Int64

HISTORY = "history"
ITEMS = (HISTORY, "item", "candidate", "candidates")
"""Placeholders that stand for items; all others stand for words."""
TITLES = "titles"
"""Stands for the titles of a history, oldest first, as many as fit."""

Parts = Mapping[str, Int32 | list[Int32]]
"""What stands for each placeholder: items or token ids, int32; for `TITLES` the token ids of each title."""


@dataclass(frozen=True)
class Task:
    """``places`` are its placeholders, the last of them the answer.

    ``subjects`` gives the items or places that an example may be about, ``parts`` what such an example says.
    ``compact`` where the answer is an item that the compact spelling learns to give.
    """

    name: str
    family: str
    places: tuple[str, ...]
    subjects: Callable[[Shop], Int64]
    parts: Callable[[Shop, int, np.random.Generator], Parts]
    compact: bool = False

    @property
    def answer(self) -> str:
        """The placeholder of what is learned."""
        return self.places[-1]


def one(item: int) -> Int32:
    """An item as the part that stands for it."""
    return np.asarray([item], np.int32)

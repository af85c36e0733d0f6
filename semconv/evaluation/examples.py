"""A few test users as a person would look at them: what they had, what they took next, what each system said."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from semconv.artifacts import Corpus, Split
from semconv.evaluation.rankings import Rankings
from semconv.recommend.ranker import NO_ITEM

TOP = 5


@dataclass(frozen=True)
class Example:
    """One test user by row number in the corpus: titles of the history, oldest first, of the held-out item, and of
    each system's top items (history removed), each with whether it is the held-out one.
    """

    user: int
    history: tuple[str, ...]
    target: str
    tops: dict[str, tuple[tuple[str, bool], ...]]


def choose(corpus: Corpus, split: Split, rankings: Rankings, count: int, seed: int) -> list[Example]:
    """Examples of ``count`` users drawn at random by ``seed`` (all, where there are fewer), in row order."""
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.choice(len(split.users), size=min(count, len(split.users)), replace=False))
    titles = corpus.items["title"].to_pylist()

    def title(item: int) -> str:
        return titles[item] or f"(no title) {corpus.item_ids[item]}"

    return [
        Example(
            user=int(split.users[row]),
            history=tuple(title(int(item)) for item in split.histories[int(row)]),
            target=title(int(split.targets[row])),
            tops={
                system: tuple(
                    (title(int(item)), bool(item == split.targets[row]))
                    for item in by_filter["filtered"][row][:TOP]
                    if item != NO_ITEM
                )
                for system, by_filter in rankings.items()
            },
        )
        for row in rows
    ]

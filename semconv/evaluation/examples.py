"""A few test users as a person would look at them: what they had, what they took next, what each system said."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from semconv.artifacts import Corpus, Split
from semconv.evaluation.rankings import Rankings
from semconv.recommend.ranker import NO_ITEM

TOP = 5
LONGEST = 160
"""Characters of a title that are shown, at most."""


@dataclass(frozen=True)
class Example:
    """One test user by row number in the corpus: titles of the history, oldest first, of the held-out item, and of
    each system's top items (history removed), each with whether it is the held-out one. Long titles are cut.
    """

    user: int
    history: tuple[str, ...]
    target: str
    tops: dict[str, tuple[tuple[str, bool], ...]]

    @property
    def found_by(self) -> list[str]:
        """Systems whose top items hold the held-out one."""
        return [system for system, top in self.tops.items() if any(hit for _, hit in top)]


def choose(corpus: Corpus, split: Split, rankings: Rankings, count: int, seed: int) -> list[Example]:
    """Examples of ``count`` users drawn at random by ``seed`` (all, where there are fewer), in row order."""
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.choice(len(split.users), size=min(count, len(split.users)), replace=False))
    titles = corpus.items["title"].to_pylist()

    def title(item: int) -> str:
        text = titles[item] or f"(no title) {corpus.item_ids[item]}"
        return text if len(text) <= LONGEST else text[: LONGEST - 1].rstrip() + "…"

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

"""What tasks are made from: the catalogue in words, training interactions, and nothing that a split keeps back.

N items, P training interactions (places, numbered through all users).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np

from semconv.alignment.facts import Facts, Mask
from semconv.alignment.negatives import Negatives
from semconv.alignment.phrases import Phrases
from semconv.artifacts import Corpus, ItemTokens, ItemVectors
from semconv.artifacts.ragged import Int32, Int64
from semconv.errors import ArtifactError
from semconv.llm.vocabulary import PlainText

HELD_OUT, HELD_OUT_MOST = 0.01, 500
"""Share of the titled items that no task in words is about, and how many at most: what probes ask for."""
PHRASE = "phrase"


class Shop:
    """A corpus with its tokens and vectors, as the tasks look at it."""

    def __init__(
        self,
        corpus: Corpus,
        vectors: ItemVectors,
        tokens: ItemTokens,
        plain: PlainText,
        *,
        max_history: int,
        context: int,
        seed: int,
    ) -> None:
        """Raises `ArtifactError` when the tokens are those of another catalogue."""
        if tokens.item_ids != corpus.item_ids:
            raise ArtifactError(
                f"{tokens.path} holds codes of other items than those of {corpus.path}",
                "Redo the stage tokenize with this corpus",
            )
        self.training, self.max_history, self.seed = corpus.training(), max_history, seed
        self.facts = Facts(corpus.items, plain, context)
        self._corpus, self._vectors, self._tokens = corpus, vectors, tokens
        self._found: dict[tuple[str, str], Int64] = {}
        titled = np.flatnonzero(self.facts.has("title"))
        many = min(HELD_OUT_MOST, -int(-len(titled) * HELD_OUT // 1))
        self.held_out = np.sort(np.random.default_rng((seed, len(titled))).permutation(titled)[:many])

    @cached_property
    def phrases(self) -> Phrases:
        """Search phrases of the catalogue."""
        return Phrases(self._corpus.items["title"].to_pylist())

    @cached_property
    def negatives(self) -> Negatives:
        """Items that were not chosen."""
        vectors = self._vectors
        return Negatives(
            self.training,
            self._tokens.codes,
            vectors.behaviour.float().numpy(),
            vectors.has_behaviour.numpy(),
            self.seed,
        )

    def items(self, name: str) -> Int64:
        """Items that have this fact, or words for a `PHRASE`, and are not held out, int64."""
        return self._kept("items", name, lambda: np.flatnonzero(self._spoken(name)))

    def places(self, name: str | None = None) -> Int64:
        """Places with a history, whose item is among `items` of this name where one is given, int64."""
        return self._kept("places", name or "", lambda: self._with_history(self._spoken(name) if name else None))

    def liked_places(self) -> Int64:
        """Places whose item has a brand or a telling category, int64."""
        told_N = self.facts.has("brand") | self.facts.has("category")
        return self._kept("liked", "", lambda: self._with_history(told_N))

    def asked_places(self, others: int) -> Int64:
        """Places whose user leaves at least ``others`` items of the catalogue alone, int64."""
        return self._kept("asked", str(others), lambda: self._with_history(None, self._corpus.n_items - others))

    def before(self, place: int) -> tuple[Int32, int]:
        """The history before a place, at most ``max_history`` items, oldest first, and the item there."""
        begin = int(self.training.offsets[self.user(place)])
        values = self.training.values
        return values[max(begin, place - self.max_history) : place], int(values[place])

    def user(self, place: int) -> int:
        """Whose place it is."""
        return int(np.searchsorted(self.training.offsets, place, side="right")) - 1

    def _spoken(self, name: str) -> Mask:
        """Items that tasks in words may be about, bool (N)."""
        spoken_N = (self.phrases.has() if name == PHRASE else self.facts.has(name)).copy()
        spoken_N[self.held_out] = False
        return spoken_N

    def _with_history(self, wanted_N: Mask | None, longest: int | None = None) -> Int64:
        """Places after the first of their user; of wanted items, of users with at most ``longest`` of them."""
        offsets, values = self.training.offsets, self.training.values
        kept = np.ones(len(values), np.bool_)
        kept[offsets[:-1][self.training.lengths > 0]] = False
        if wanted_N is not None:
            kept &= wanted_N[values]
        if longest is not None:
            kept &= np.repeat(self.training.lengths <= longest, self.training.lengths)
        return np.flatnonzero(kept)

    def _kept(self, kind: str, name: str, find: Callable[[], Int64]) -> Int64:
        if (kind, name) not in self._found:
            self._found[kind, name] = find()
        return self._found[kind, name]

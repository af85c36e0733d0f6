"""Recall of a generative model on a fixed sample of validation users."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from semconv.artifacts import Corpus, ItemTokens
from semconv.llm.protocol import BeamModel
from semconv.llm.search import beam_search
from semconv.llm.trie import Trie

AT = 10
BEAMS = 20
BATCH = 250


class Validation:
    """Recall@10 over the whole catalogue, items already seen included; the same users at every call."""

    def __init__(self, corpus: Corpus, tokens: ItemTokens, users: int, seed: int) -> None:
        """A sample of at most ``users`` of those with a validation item, drawn by ``seed``."""
        self._split = corpus.split("valid")
        drawn = np.random.default_rng((seed, len(self._split.users))).permutation(len(self._split.users))
        self._users = np.sort(drawn[:users])
        counts = np.bincount(corpus.training().values, minlength=corpus.n_items)
        self._trie = Trie.build(tokens.codes, tokens.codes_per_level, training_counts=counts)

    def __len__(self) -> int:
        return len(self._users)

    def __call__(self, model: BeamModel, device: torch.device, rank: int = 0, world: int = 1) -> torch.Tensor:
        """Hits and users of this rank's share of the sample, float64 (2,)."""
        trie = self._trie.to(device)
        mine = self._users[rank::world]
        hits = 0
        for begin in range(0, len(mine), BATCH):
            users = mine[begin : begin + BATCH]
            found = beam_search(model, trie, [self._split.histories[int(user)] for user in users], AT, BEAMS, "legal")
            hits += int((found.items == self._split.targets[users, None]).any(1).sum())
        return torch.tensor([hits, len(mine)], dtype=torch.float64)


Validate = Callable[[torch.nn.Module, int, int], torch.Tensor]


def validate_with(validation: Validation, beam_model: Callable[[torch.nn.Module], BeamModel]) -> Validate | None:
    """A job's ``validate``, through whatever makes a `BeamModel` of the trained module; none without users."""
    if not len(validation):
        return None

    def validate(model: torch.nn.Module, rank: int, world: int) -> torch.Tensor:
        return validation(beam_model(model), next(model.parameters()).device, rank, world)

    return validate

"""Chance: the floor that every other system stands on."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import torch

from semconv.artifacts.ragged import Int32
from semconv.behaviour.ordering import top_k
from semconv.recommend.ranker import Ranking


class RandomRanker:
    """An order of the catalogue drawn for each history: the same history always gets the same one."""

    name = "random"

    def __init__(self, n_items: int, seed: int) -> None:
        self._counts_N = torch.zeros(n_items, dtype=torch.long)
        self._seed = seed

    def rank(self, histories: Sequence[Int32], k: int, *, exclude: Sequence[Int32] | None = None) -> Ranking:
        """See `Ranker`; scores are uniform in [0, 1)."""
        if not len(histories):
            return Ranking.empty(k)
        draws = [self._generator(history).random(len(self._counts_N), dtype=np.float32) for history in histories]
        return Ranking(*top_k(torch.from_numpy(np.stack(draws)), k, self._counts_N, exclude))

    def _generator(self, history: Int32) -> np.random.Generator:
        content = np.asarray(history, "<i4").tobytes()
        drawn = hashlib.blake2b(content, digest_size=8, key=self._seed.to_bytes(8, "little")).digest()
        return np.random.Generator(np.random.PCG64(int.from_bytes(drawn, "little")))

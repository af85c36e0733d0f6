"""Items that somebody did not choose, by how hard they are to tell from the one that was chosen.

    uniform      any item
    popularity   as often as it was bought in training
    semantic     the same beginning of codes, the longest that has enough items: hard in meaning
    behavioural  the nearest behaviour vectors: hard in behaviour

N items, D width, M items compared.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from semconv.artifacts.ragged import Int32, Int64, Ragged
from semconv.tokens.prefixes import prefix_ids, rows_by_id

KINDS = ("uniform", "popularity", "semantic", "behavioural")
NEAR = 20
"""Nearest neighbours that a behavioural negative is drawn from."""
KEPT = 100
"""Neighbours looked up at once: enough that a buyer of many of them still has `NEAR` left."""
COMPARED = 50_000
"""Items that neighbours are looked for among; a larger catalogue is sampled."""
ROUNDS = 8
CACHED = 16_384


class Negatives:
    """Draws negatives; whatever it knows comes from training interactions and the codes."""

    def __init__(
        self,
        training: Ragged,
        codes_NL: Int32,
        behaviour_ND: npt.NDArray[np.float32],
        has_behaviour_N: npt.NDArray[np.bool_],
        seed: int,
    ) -> None:
        self._bought, self._items = training.values, len(codes_NL)
        lengths = range(codes_NL.shape[1], 0, -1)
        self._whole, *self._prefixes = [
            (ids_N, *rows_by_id(ids_N, int(ids_N.max()) + 1)) for ids_N in _ids(codes_NL, lengths)
        ]
        sizes_N1 = np.linalg.norm(behaviour_ND, axis=1, keepdims=True)
        self._unit_ND = (behaviour_ND / np.maximum(sizes_N1, 1e-12)).astype(np.float32)
        self._has_N = has_behaviour_N & (sizes_N1[:, 0] > 0)
        known = np.flatnonzero(self._has_N)
        self._compared_M = np.sort(np.random.default_rng(seed).permutation(known)[:COMPARED])
        self._compared_MD = self._unit_ND[self._compared_M]
        self._nearest = lru_cache(maxsize=CACHED)(self._neighbours)

    def draw(self, kind: str, target: int, owned: Int32, many: int, random: np.random.Generator) -> Int32:
        """``many`` different items of a kind, none the ``target`` and none of ``owned``, int32.

        Where a kind has too few, uniform ones fill up; where the whole catalogue has too few, there are fewer. What
        has the very codes of one of those, and so reads like it, comes last of all.
        """
        own = {target, *owned.tolist()}
        barred = own | self._read_like(own)
        found: list[int] = []
        for drawn in self._proposals(kind, target, many, random):
            found += [item for item in dict.fromkeys(drawn.tolist()) if item not in barred and item not in found]
            if len(found) >= many:
                return np.asarray(found[:many], np.int32)
        left = np.setdiff1d(np.arange(self._items), np.asarray([*barred, *found]))
        alike = np.asarray(sorted(barred - own), np.int64)
        return np.concatenate([found, random.permutation(left), alike])[:many].astype(np.int32)

    def _read_like(self, items: set[int]) -> set[int]:
        """Those with the whole code of one of these, themselves among them."""
        ids_N, order_N, starts = self._whole
        return {int(other) for item in items for other in order_N[starts[ids_N[item]] : starts[ids_N[item] + 1]]}

    def _proposals(self, kind: str, target: int, many: int, random: np.random.Generator) -> Iterator[Int64]:
        """Items in the order in which they may be taken, piece after piece."""
        if kind == "semantic":
            for ids_N, order_N, starts in self._prefixes:
                yield random.permutation(order_N[starts[ids_N[target]] : starts[ids_N[target] + 1]])
        if kind == "behavioural" and self._has_N[target]:
            nearest = self._nearest(target)
            yield random.permutation(nearest[:NEAR])
            yield nearest[NEAR:]
        for _ in range(ROUNDS if kind == "popularity" and len(self._bought) else 0):
            yield self._bought[random.integers(len(self._bought), size=4 * many)].astype(np.int64)
        for _ in range(ROUNDS):
            yield random.integers(self._items, size=4 * many)

    def _neighbours(self, target: int) -> Int64:
        """The items nearest to one in behaviour, by cosine, nearest first, int64."""
        cosine_M = self._compared_MD @ self._unit_ND[target]
        kept = min(KEPT + 1, len(cosine_M))
        best = np.argpartition(-cosine_M, kept - 1)[:kept]
        nearest = self._compared_M[best[np.lexsort((best, -cosine_M[best]))]]
        others: Int64 = nearest[nearest != target]
        return others


def _ids(codes_NL: Int32, lengths: range) -> list[Int64]:
    return [prefix_ids(codes_NL, length) for length in lengths]

"""Wishes: what a person says they would like, in a few words, as a source of evidence.

B wishes (one for each history, or one for all), N items, M candidates, D width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa
import torch
from torch.nn import functional as F

from semconv.artifacts import ItemVectors, digest
from semconv.artifacts.manifest import describe_files
from semconv.artifacts.ragged import Int32
from semconv.behaviour.ordering import top_k
from semconv.errors import ArtifactError
from semconv.recommend.evidence import Reading
from semconv.recommend.ranker import NO_ITEM
from semconv.recommend.wish_index import Float32, WishIndex
from semconv.tokens.text_encoder import TextEncoder

Encode = Callable[[Sequence[str]], torch.Tensor]
"""Texts to vectors, float32 (len(texts), D)."""

FEATURES = tuple(f"wish.{name}" for name in ("words", "brand", "category", "cosine", "standard_cosine"))
FAINT = 1e-4
"""Least standard deviation of cosines."""


class WishSource:
    """A catalogue in words and text vectors, asked about wishes."""

    features = FEATURES

    def __init__(self, items: pa.Table, text_ND: torch.Tensor, counts_N: torch.Tensor, encode: Encode) -> None:
        """``items`` has schema `ITEMS`; ``encode`` is the encoder that made ``text_ND``, whose zero rows have no text.

        ``counts_N``: training interactions, which rank items of equal score.
        """
        self._index = WishIndex(items)
        self._unit_ND = F.normalize(text_ND.float(), dim=1)
        self._counts_N = counts_N
        self._encode = encode

    def about(self, wishes: Sequence[str]) -> Wished:
        """What is known of these wishes; each must say something."""
        different = list(dict.fromkeys(wishes))
        place = {wish: row for row, wish in enumerate(different)}
        rows_B = torch.tensor([place[wish] for wish in wishes], dtype=torch.int64)
        cosines_WN = F.normalize(self._encode(different).float(), dim=1) @ self._unit_ND.T

        def told(way: Callable[[str], Float32]) -> torch.Tensor:
            return torch.from_numpy(np.stack([way(wish) for wish in different]))[rows_B]

        words_BN, brand_BN, category_BN = map(told, (self._index.words, self._index.brand, self._index.categories))
        return Wished(words_BN, brand_BN, category_BN, cosines_WN[rows_B], self._counts_N)


@dataclass(frozen=True)
class Wished:
    """A `Source` bound to its wishes: it reads as many histories as it has wishes, or any number if it has one.

    What every item has of the wish, float32 (B, N): words, brand and category as `WishIndex` gives them, and the
    cosine of its text vector with the wish's, 0 for items without text.
    """

    words_BN: torch.Tensor
    brand_BN: torch.Tensor
    category_BN: torch.Tensor
    cosine_BN: torch.Tensor
    counts_N: torch.Tensor

    features: ClassVar[tuple[str, ...]] = FEATURES

    @cached_property
    def match_BN(self) -> torch.Tensor:  # noqa: N802  # a tensor's name has its shape
        """How well items match in words: the best of words, brand and category, in [0, 1], float32 (B, N)."""
        return torch.maximum(self.words_BN, torch.maximum(self.brand_BN, self.category_BN))

    def answers(self, k: int) -> torch.Tensor:
        """Items that answer the wish, bool (B, N).

        Those are the ``k`` that match best in words, with all that match as well as the last of them, and the ``k``
        nearest in meaning. An item that shares no word matches nothing.
        """
        match_BN = self.match_BN
        k = min(k, match_BN.shape[1])
        last_B1 = match_BN.topk(k, dim=1).values[:, -1:]
        nearest_BN = torch.zeros_like(match_BN, dtype=torch.bool)
        nearest_BN.scatter_(1, self.cosine_BN.topk(k, dim=1).indices, True)
        return ((match_BN >= last_B1) & (match_BN > 0)) | nearest_BN

    def read(self, histories: Sequence[Int32]) -> Reading:
        """See `Source`; raises `ValueError` for another number of histories."""
        wishes, many = len(self.words_BN), len(histories)
        if wishes not in (1, many):
            raise ValueError(f"{wishes} wishes for {many} histories")
        known = (self.words_BN, self.brand_BN, self.category_BN, self.cosine_BN)
        words_BN, brand_BN, category_BN, cosine_BN = (known_BN.expand(many, -1) for known_BN in known)
        return _Told(Wished(words_BN, brand_BN, category_BN, cosine_BN, self.counts_N))


class _Told:
    """A `Reading`: half of its candidates by words, half by meaning."""

    def __init__(self, wished: Wished) -> None:
        self._wished = wished

    def best(self, k: int, exclude: Sequence[Int32] | None) -> Int32:
        """See `Reading`."""
        counts_N = self._wished.counts_N
        matching, scores = top_k(self._wished.match_BN, k - k // 2, counts_N, exclude)
        nearest, _ = top_k(self._wished.cosine_BN, k // 2, counts_N, exclude)
        return np.concatenate([np.where(scores > 0, matching, NO_ITEM), nearest], axis=1)

    def features(self, items_BM: torch.Tensor) -> torch.Tensor:
        """See `Reading`."""
        wished, cosine_BN = self._wished, self._wished.cosine_BN
        deviation_B1 = cosine_BN.std(1, keepdim=True, correction=0).clamp(min=FAINT)
        standard_BN = (cosine_BN - cosine_BN.mean(1, keepdim=True)) / deviation_B1
        known = (wished.words_BN, wished.brand_BN, wished.category_BN, cosine_BN, standard_BN)
        return torch.stack([known_BN.gather(1, items_BM) for known_BN in known], dim=2)


def open_encoder(vectors: ItemVectors) -> Encode:
    """The encoder that made these text vectors, by what their manifest says of it.

    Raises `ArtifactError` when the manifest names none, or a folder whose content has changed since; else as
    `TextEncoder` does.
    """
    model = vectors.manifest.settings.get("embed", {}).get("text_model")
    if model is None:
        raise ArtifactError(
            f"{vectors.path} does not say which encoder made its text vectors, so wishes cannot be read",
            "Redo the stage embed",
        )
    made_with = vectors.manifest.inputs.get("text_model")
    if made_with is not None and made_with != digest(describe_files(Path(model))):
        raise ArtifactError(
            f"The text encoder {model} is not the one that made {vectors.path}",
            "Put back the one that was there, or redo the stage embed",
        )
    return TextEncoder(model).encode

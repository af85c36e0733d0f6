"""Sources that know items and propose none: how often each is bought, and what it has in common with the history.

B histories, N items, M candidates, A attributes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import scipy.sparse as sp
import torch

from semconv.artifacts.ragged import Int32, Ragged
from semconv.recommend.evidence import Reading

RECENCY = 0.8
"""How many times as much an item of the history counts per step back from the last."""


class _Known:
    """Values of all items in the order of the features, each float (B, N) or (N); a `Reading` without candidates."""

    def __init__(self, values: list[torch.Tensor], histories: int) -> None:
        self._values = values
        self._histories = histories

    def best(self, k: int, exclude: Sequence[Int32] | None) -> Int32:  # noqa: ARG002  # `Reading`
        """See `Reading`."""
        return np.zeros((self._histories, 0), np.int32)

    def features(self, items_BM: torch.Tensor) -> torch.Tensor:
        """See `Reading`."""
        told = [known.expand(len(items_BM), -1).gather(1, items_BM) for known in self._values]
        return torch.stack(told, dim=2)


class PopularitySource:
    """The logarithm of one and an item's training interactions."""

    features = ("popularity.log_count",)

    def __init__(self, counts_N: torch.Tensor) -> None:
        self._log_N = counts_N.float().log1p()

    def read(self, histories: Sequence[Int32]) -> Reading:
        """See `Source`."""
        return _Known([self._log_N], len(histories))


class HistorySource:
    """The logarithm of one and the history's length, so that sources may weigh by it, and whether it holds the item."""

    features = ("history.log_length", "history.seen")

    def __init__(self, n_items: int) -> None:
        self._n_items = n_items

    def read(self, histories: Sequence[Int32]) -> Reading:
        """See `Source`."""
        had = Ragged.of(list(histories))
        lengths_B1 = torch.from_numpy(had.lengths)[:, None].float().log1p()
        seen_BN = torch.zeros(len(had), self._n_items)
        rows = torch.from_numpy(np.repeat(np.arange(len(had)), had.lengths))
        seen_BN[rows, torch.from_numpy(had.values.astype(np.int64))] = 1.0
        return _Known([lengths_B1.expand(-1, self._n_items), seen_BN], len(had))


class FactsSource:
    """Brand and categories that an item shares with the history, rare ones counting more; cosines by tf-idf weights."""

    features = ("facts.brand", "facts.categories")

    def __init__(self, items: pa.Table) -> None:
        """``items`` as `Corpus.items` has them."""
        brands = [[brand] if brand else [] for brand in items["brand"].to_pylist()]
        categories = [found or [] for found in items["categories"].to_pylist()]
        self._weights = [_weighted(brands), _weighted(categories)]

    def read(self, histories: Sequence[Int32]) -> Reading:
        """See `Source`."""
        backwards = Ragged.of([history[::-1] for history in histories])
        back = np.arange(len(backwards.values)) - np.repeat(backwards.offsets[:-1], backwards.lengths)
        shape = (len(histories), self._weights[0].shape[0])
        recency_BN = sp.csr_array((RECENCY**back, backwards.values, backwards.offsets), shape=shape)
        return _Known([_cosines(recency_BN, weights_NA) for weights_NA in self._weights], len(histories))


def _weighted(attributes: list[list[str]]) -> sp.csr_array:
    """Rows of length one, or zero where an item has no attribute: float32 (N, A)."""
    numbers: dict[str, int] = {}
    columns = [[numbers.setdefault(name, len(numbers)) for name in dict.fromkeys(names)] for names in attributes]
    lengths = [len(row) for row in columns]
    flat = np.asarray([column for row in columns for column in row], np.int64)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    rarity_A = np.log((1 + len(attributes)) / (1 + np.bincount(flat, minlength=len(numbers))))
    weights_NA = sp.csr_array((rarity_A[flat], flat, offsets), shape=(len(attributes), max(1, len(numbers))))
    return _unit(weights_NA)


def _unit(rows: sp.csr_array) -> sp.csr_array:
    lengths = np.sqrt(np.asarray(rows.multiply(rows).sum(axis=1)).ravel())
    return sp.csr_array(sp.diags_array(1.0 / np.where(lengths > 0, lengths, 1.0)) @ rows).astype(np.float32)


def _cosines(recency_BN: sp.csr_array, weights_NA: sp.csr_array) -> torch.Tensor:
    profiles_BA = _unit(sp.csr_array(recency_BN @ weights_NA))
    return torch.from_numpy((profiles_BA @ weights_NA.T).toarray().astype(np.float32))

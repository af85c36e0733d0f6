"""Item-to-item: what followed the user's recent items in other people's sequences, counted and discounted.

Fixed, so that every system is compared with the same thing: each of the last 10 items of a history votes for the items
that followed it within 5 positions in training, weight 1 / distance, divided by the square root of the voter's own
training count; a vote counts 0.7 times as much per step back from the most recent item.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp
import torch

from semconv.artifacts.ragged import Int32, Ragged

WINDOW = 5
VOTERS = 10
RECENCY = 0.7


class ItemToItem:
    """Sparse votes ``votes_NN``: row = the item that votes, column = the item voted for; a `BehaviourModel`."""

    name = "item_to_item"

    def __init__(self, votes_NN: sp.csr_array) -> None:
        self.votes_NN = votes_NN

    @classmethod
    def fit(cls, training: Ragged, n_items: int) -> ItemToItem:
        """Count the training sequences; cost grows with their total length."""
        values = training.values
        row_of = np.repeat(np.arange(len(training)), training.lengths)
        sources, followers, weights = [], [], []
        for distance in range(1, WINDOW + 1):
            together = row_of[:-distance] == row_of[distance:]
            sources.append(values[:-distance][together])
            followers.append(values[distance:][together])
            weights.append(np.full(int(together.sum()), 1.0 / distance))
        places = (np.concatenate(sources), np.concatenate(followers))
        votes_NN = sp.coo_array((np.concatenate(weights), places), shape=(n_items, n_items)).tocsr()
        counts_N = np.maximum(np.bincount(values, minlength=n_items), 1)
        return cls(sp.csr_array(sp.diags_array(1.0 / np.sqrt(counts_N)) @ votes_NN).astype(np.float32))

    def scores(self, histories: Sequence[Int32]) -> torch.Tensor:
        """Sum of the votes, float32 (B, N); zero everywhere for a history without signal."""
        recent = Ragged.of([history[-VOTERS:][::-1] for history in histories])
        starts = np.repeat(recent.offsets[:-1], recent.lengths)
        recency = RECENCY ** (np.arange(len(recent.values)) - starts)
        # Duplicates in a row add up, as they should: an item bought twice votes twice.
        voters_BN = sp.csr_array(
            (recency, recent.values, recent.offsets), shape=(len(histories), self.votes_NN.shape[0])
        )
        return torch.from_numpy((voters_BN @ self.votes_NN).toarray().astype(np.float32))

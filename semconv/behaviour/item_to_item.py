"""Item-to-item: what stands near the user's recent items in other people's sequences, counted and discounted.

Item-based collaborative filtering (Sarwar et al. 2001; Linden et al. 2003) that minds the order. `FIXED` is the same on
every data set, so that all systems are compared with one thing; `semconv.behaviour.tuning` chooses other settings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch

from semconv.artifacts.ragged import Int32, Ragged


@dataclass(frozen=True)
class Counting:
    """How votes are counted.

    Each of the last ``voters`` items of a history votes for the items that followed it within ``window`` positions in
    training: 1 / distance ** ``distance_exponent`` every time, and ``backward`` times as much for those that came
    before it. Its votes are divided by its own training count to the power ``voter_exponent`` and by the count of the
    item voted for to the power ``target_exponent``, and weigh ``recency`` times as much per step back from the most
    recent item.
    """

    window: int = 5
    voters: int = 10
    recency: float = 0.7
    distance_exponent: float = 1.0
    voter_exponent: float = 0.5
    target_exponent: float = 0.0
    backward: float = 0.0


FIXED = Counting()
"""The reference: followers alone, 1 / distance, over the square root of the voter's count."""

FIXED_NAME = "item_to_item"
TUNED_NAME = "item_to_item_tuned"


class ItemToItem:
    """Sparse votes ``votes_NN``: row = the item that votes, column = the item voted for; a `BehaviourModel`."""

    def __init__(self, votes_NN: sp.csr_array, counting: Counting = FIXED, *, name: str = FIXED_NAME) -> None:
        self.name = name
        self.votes_NN = votes_NN
        self.counting = counting

    @classmethod
    def fit(cls, training: Ragged, n_items: int, counting: Counting = FIXED, *, name: str = FIXED_NAME) -> ItemToItem:
        """Count the training sequences; cost grows with their total length times the window."""
        values = training.values
        row_of = np.repeat(np.arange(len(training)), training.lengths)
        voters, targets, weights = [], [], []
        for distance in range(1, counting.window + 1):
            together = row_of[:-distance] == row_of[distance:]
            before, after = values[:-distance][together], values[distance:][together]
            weight = 1.0 / distance**counting.distance_exponent
            for voter, target, factor in ((before, after, 1.0), (after, before, counting.backward)):
                if factor:
                    voters.append(voter)
                    targets.append(target)
                    weights.append(np.full(len(voter), factor * weight))
        places = (np.concatenate(voters), np.concatenate(targets))
        votes_NN = sp.coo_array((np.concatenate(weights), places), shape=(n_items, n_items)).tocsr()
        counts_N = np.maximum(np.bincount(values, minlength=n_items), 1)
        votes_NN = sp.csr_array(sp.diags_array(1.0 / counts_N**counting.voter_exponent) @ votes_NN)
        votes_NN.data /= (counts_N**counting.target_exponent)[votes_NN.indices]
        return cls(votes_NN.astype(np.float32), counting, name=name)

    def recent(self, histories: Sequence[Int32]) -> Ragged:
        """The items of each history that vote, most recent first."""
        return Ragged.of([history[-self.counting.voters :][::-1] for history in histories])

    def votes(self, histories: Sequence[Int32]) -> sp.csr_array:
        """Sum of the votes, sparse float32 (B, N); an item that nobody votes for has no entry."""
        recent = self.recent(histories)
        starts = np.repeat(recent.offsets[:-1], recent.lengths)
        recency = self.counting.recency ** (np.arange(len(recent.values)) - starts)
        # Duplicates in a row add up, as they should: an item bought twice votes twice.
        voters_BN = sp.csr_array(
            (recency, recent.values, recent.offsets), shape=(len(histories), self.votes_NN.shape[0])
        )
        return sp.csr_array(voters_BN @ self.votes_NN).astype(np.float32)

    def scores(self, histories: Sequence[Int32]) -> torch.Tensor:
        """Sum of the votes, float32 (B, N); zero everywhere for a history without signal."""
        return torch.from_numpy(self.votes(histories).toarray())

"""The collaborative rung: what stands near the last items of a history, for when no model answers.

Item-based collaborative filtering (Sarwar et al. 2001) over the neighbours that the snapshot keeps of each item.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from semconv.artifacts import TopKSnapshot

VOTERS = 10
"""Items of a history that vote, the last ones."""
RECENCY = 0.7
"""What a vote weighs per step back from the most recent item."""


def votes(snapshot: TopKSnapshot, history: Sequence[int]) -> npt.NDArray[np.float32]:
    """Summed similarity of all items to the last of ``history`` (indices, oldest first), float32 (N); 0 for no vote."""
    votes_N = np.zeros(snapshot.n_items, np.float32)
    for step, item in enumerate(reversed(history[-VOTERS:])):
        neighbours, scores = snapshot.similar(item)
        votes_N[neighbours] += np.float32(RECENCY**step) * scores
    return votes_N

"""The whole item beside its codes: how well an item's encoding answers a hidden state.

Codes are shared, and the last of them tells neighbours apart badly. A score of the item itself, as dense retrieval has
one, is learned from the same hidden state and added at the leaves of the search. LIGER (Yang et al. 2024,
arXiv 2411.18814) finds generative and dense retrieval on one backbone better together than either alone.

P positions, S items, T items scored, D width, E one more.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional as F

SAMPLED = 4096
"""Items that stand for a larger catalogue in the loss of a step."""


class ItemHead(nn.Module):
    """Scores of items: products of projected hidden states and projected encodings, and a score of the item's own."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.RMSNorm(width)
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width + 1)

    def queries(self, hidden_PD: torch.Tensor) -> torch.Tensor:
        """What hidden states ask for, (P, D + 1)."""
        asked_PD = self.query(self.norm(hidden_PD)) / math.sqrt(self.query.out_features)
        return F.pad(asked_PD, (0, 1), value=1.0)

    def keys(self, items_SD: torch.Tensor) -> torch.Tensor:
        """What encoded items answer with, (S, D + 1)."""
        keys_SE: torch.Tensor = self.key(items_SD)
        return keys_SE

    def scores(self, queries_TE: torch.Tensor, keys_TE: torch.Tensor) -> torch.Tensor:
        """Score of each item for the query beside it, float32 (T)."""
        return (queries_TE * keys_TE).sum(1).float()

    def loss(
        self, hidden_PD: torch.Tensor, targets_PD: torch.Tensor, sample_SD: torch.Tensor, catalogue: int
    ) -> torch.Tensor:
        """Summed cross entropy of encoded targets (P, D) among all items: ``sample_SD``, or those it stands for.

        A sample smaller than the ``catalogue`` was drawn uniformly, and its weights make up for what it leaves out
        (importance sampling, Bengio & Senecal 2008); the target joins it.
        """
        queries_PE = self.queries(hidden_PD)
        targets_P = self.scores(queries_PE, self.keys(targets_PD))
        total_P = (queries_PE @ self.keys(sample_SD).T).float().logsumexp(1)
        if len(sample_SD) < catalogue:
            total_P = torch.logaddexp(targets_P, total_P + math.log((catalogue - 1) / len(sample_SD)))
        summed: torch.Tensor = (total_P - targets_P).sum()
        return summed


def sampled(catalogue: int, device: torch.device) -> torch.Tensor:
    """The whole catalogue where it is no larger than `SAMPLED`, else as many items at random: int64 (S)."""
    if catalogue <= SAMPLED:
        return torch.arange(catalogue, device=device)
    return torch.randint(catalogue, (SAMPLED,), device=device)

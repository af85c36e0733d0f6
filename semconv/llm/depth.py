"""The depth decoder: the codes of the next item, level by level, from one hidden state.

Summing the embeddings of the codes said so far follows the depth transformer of RQ-Transformer (Lee et al. 2022),
with a residual block in the place of its attention. It is narrower than a wide backbone, because a beam search passes
through it for every beam. P positions, L levels, C codes per level, D width of the decoder.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F


class DepthDecoder(nn.Module):
    """A hidden state and the codes said so far to the scores of the next level's codes."""

    def __init__(self, levels: int, codes: int, backbone: int, width: int, dropout: float) -> None:
        """``backbone``: the width of the hidden states given to `enter`."""
        super().__init__()
        self.enter = nn.Identity() if backbone == width else nn.Linear(backbone, width)
        self.prefix = nn.ModuleList([nn.Embedding(codes, width) for _ in range(levels - 1)])
        self.level = nn.Embedding(levels, width)
        self.norm = nn.RMSNorm(width)
        self.up = nn.Linear(width, 4 * width)
        self.down = nn.Linear(4 * width, width)
        self.final = nn.RMSNorm(width)
        self.output = nn.ModuleList([nn.Linear(width, codes) for _ in range(levels)])
        self.dropout = nn.Dropout(dropout)

    def forward(self, hidden_PD: torch.Tensor, codes_PL: torch.Tensor) -> list[torch.Tensor]:
        """Teacher-forced scores of every level, each (P, C), from the backbone's hidden states."""
        hidden_PD = self.enter(hidden_PD)
        logits = [self.score(0, hidden_PD)]
        for level, table in enumerate(self.prefix, start=1):
            hidden_PD = hidden_PD + table(codes_PL[:, level - 1])
            logits.append(self.score(level, hidden_PD))
        return logits

    def score(self, level: int, hidden_XD: torch.Tensor) -> torch.Tensor:
        """Scores of one level's codes (..., C) from entered hidden states that hold the codes before (..., D)."""
        hidden_XD = hidden_XD + self.level(torch.full((), level, device=hidden_XD.device))
        hidden_XD = hidden_XD + self.dropout(self.down(F.gelu(self.up(self.norm(hidden_XD)))))
        scores_XC: torch.Tensor = self.output[level](self.dropout(self.final(hidden_XD)))
        return scores_XC

"""SASRec: a causal transformer over item sequences (Kang & McAuley 2018), pre-norm, item embeddings tied.

Legend: B histories, P packed tokens, R packed rows, W tokens a row, H heads, D width, N items.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional as F

from semconv.artifacts.ragged import Int32, Ragged
from semconv.behaviour.packing import pack
from semconv.config import SasrecSettings

SCORING_BATCH = 1024


class Block(nn.Module):
    """Pre-norm self-attention and feed-forward."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.attention_out = nn.Linear(width, width)
        self.feed_norm = nn.LayerNorm(width)
        self.feed_in = nn.Linear(width, 4 * width)
        self.feed_out = nn.Linear(4 * width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x_RWD: torch.Tensor, mask_R1WW: torch.Tensor) -> torch.Tensor:
        """One layer; ``mask_R1WW`` is true where a token (row) may attend to another (column)."""
        rows, width, _ = x_RWD.shape
        qkv = self.query_key_value(self.attention_norm(x_RWD)).view(rows, width, 3, self.heads, -1)
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        mixed_RHWd = F.scaled_dot_product_attention(query, key, value, attn_mask=mask_R1WW)
        x_RWD = x_RWD + self.dropout(self.attention_out(mixed_RHWd.transpose(1, 2).flatten(2)))
        fed_RWD = self.feed_out(self.dropout(F.gelu(self.feed_in(self.feed_norm(x_RWD)))))
        result_RWD: torch.Tensor = x_RWD + self.dropout(fed_RWD)
        return result_RWD


class Sasrec(nn.Module):
    """Next-item scores from a history; a `BehaviourModel`.

    A sequence starts with a start token, so that an empty history has a score as well: what users begin with.
    """

    name = "sasrec"

    def __init__(self, n_items: int, settings: SasrecSettings) -> None:
        super().__init__()
        self.n_items = n_items
        self.max_history = settings.max_history
        self.tokens = nn.Embedding(n_items + 1, settings.width)
        self.positions = nn.Embedding(settings.max_history + 1, settings.width)
        self.dropout = nn.Dropout(settings.dropout)
        self.blocks = nn.ModuleList(
            Block(settings.width, settings.heads, settings.dropout) for _ in range(settings.layers)
        )
        self.norm = nn.LayerNorm(settings.width)
        for module in self.modules():
            if isinstance(module, (nn.Linear, nn.Embedding)):
                nn.init.normal_(module.weight, std=0.02)
            if isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)

    @property
    def item_vectors(self) -> torch.Tensor:
        """Item embeddings, float32 (N, D); the last row of the table, the start token, left out."""
        return self.tokens.weight[: self.n_items]

    def hidden(self, histories: Ragged) -> torch.Tensor:
        """States after the start token and after every item of every history, float32 (P, D), history by history.

        Histories hold at most ``max_history`` items; P is the sum of their lengths, plus one each.
        """
        device = self.tokens.weight.device
        packed = pack(histories.lengths + 1, self.max_history + 1).to(device)
        rows, width = packed.positions_RW.shape
        tokens_S = torch.full((rows * width,), self.n_items, device=device)
        tokens_S[packed.slots_P] = torch.from_numpy(_with_start(histories, self.n_items)).to(device)
        x_RWD = self.dropout(self.tokens(tokens_S.view(rows, width)) + self.positions(packed.positions_RW))
        mask_R1WW = packed.mask_RWW[:, None]
        for block in self.blocks:
            x_RWD = block(x_RWD, mask_R1WW)
        hidden_PD: torch.Tensor = self.norm(x_RWD.flatten(0, 1).index_select(0, packed.slots_P))
        return hidden_PD.float()

    @torch.no_grad()
    def scores(self, histories: Sequence[Int32]) -> torch.Tensor:
        """Scores of every item after each history, float32 (B, N); only the last ``max_history`` items count."""
        self.eval()
        scores = torch.empty(len(histories), self.n_items)
        for first in range(0, len(histories), SCORING_BATCH):
            stop = min(first + SCORING_BATCH, len(histories))
            recent = Ragged.of([histories[row][-self.max_history :] for row in range(first, stop)])
            last = torch.from_numpy(np.cumsum(recent.lengths + 1) - 1)
            scores[first:stop] = (self.hidden(recent)[last] @ self.item_vectors.T).cpu()
        return scores


def _with_start(histories: Ragged, start: int) -> npt.NDArray[np.int64]:
    """Item indices int64 (P,), ``start`` before every history."""
    lengths = histories.lengths
    tokens = np.full(int(lengths.sum()) + len(lengths), start, np.int64)
    is_item = np.ones(len(tokens), bool)
    is_item[np.cumsum(lengths + 1) - lengths - 1] = False
    tokens[is_item] = histories.values
    return tokens

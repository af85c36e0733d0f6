"""An item as one position: the sum of its code embeddings and of its projected text and behaviour vectors.

P positions, L levels, N items, D width.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from semconv.artifacts import ItemVectors
from semconv.artifacts.ragged import Int32
from semconv.llm.compact_batch import START


@dataclass(frozen=True)
class CompactShape:
    """Sizes that the weights fix, and the longest history seen in training.

    ``depth_width`` is the depth decoder's width, unless the backbone is narrower; ``item_head``: items have a score of
    their own beside their codes'.
    """

    levels: int
    codes: int
    text_width: int
    behaviour_width: int
    depth_width: int
    max_history: int
    item_head: bool


class ItemEncoder(nn.Module):
    """Items to positions: the sum of code embeddings and projected vectors, normalised."""

    codes_NL: torch.Tensor
    text_ND: torch.Tensor
    behaviour_ND: torch.Tensor
    has_text_N: torch.Tensor
    has_behaviour_N: torch.Tensor

    def __init__(self, shape: CompactShape, width: int, unknown: float = 0.0) -> None:
        super().__init__()
        self.shape = shape
        self.unknown = unknown
        self.codes = nn.ModuleList([nn.Embedding(shape.codes, width) for _ in range(shape.levels)])
        self.text = nn.Linear(shape.text_width, width, bias=False)
        self.behaviour = nn.Linear(shape.behaviour_width, width, bias=False)
        self.special = nn.Embedding(3, width)  # start of a history, unknown text, unknown behaviour
        self.norm = nn.RMSNorm(width)
        for embedding in [*self.codes, self.special]:
            nn.init.normal_(embedding.weight, std=0.5)

    def attach(self, codes_NL: Int32, vectors: ItemVectors) -> None:
        """Give the encoder its catalogue; vectors are scaled row by row to unit variance."""
        codes = torch.as_tensor(codes_NL, dtype=torch.int64)
        self.register_buffer("codes_NL", codes, persistent=False)
        self.register_buffer("text_ND", _scaled(vectors.text), persistent=False)
        self.register_buffer("behaviour_ND", _scaled(vectors.behaviour), persistent=False)
        self.register_buffer("has_text_N", vectors.has_text, persistent=False)
        self.register_buffer("has_behaviour_N", vectors.has_behaviour, persistent=False)

    def forward(self, items_P: torch.Tensor) -> torch.Tensor:
        """Item indices, or `START`, to (P, D)."""
        dtype = self.text.weight.dtype
        starts_P = items_P == START
        items_P = items_P.clamp(min=0)
        codes_PL = self.codes_NL[items_P]
        total_PD = torch.stack([table(codes_PL[:, level]) for level, table in enumerate(self.codes)]).sum(0)
        begin_D, no_text_D, no_behaviour_D = self.special(torch.arange(3, device=items_P.device))
        for project, vectors_ND, known_N, unknown_D in (
            (self.text, self.text_ND, self.has_text_N, no_text_D),
            (self.behaviour, self.behaviour_ND, self.has_behaviour_N, no_behaviour_D),
        ):
            known_P = known_N[items_P]
            if self.training and self.unknown:
                known_P = known_P & (torch.rand_like(known_P, dtype=torch.float32) >= self.unknown)
            total_PD = total_PD + torch.where(known_P[:, None], project(vectors_ND[items_P].to(dtype)), unknown_D)
        items_PD: torch.Tensor = self.norm(torch.where(starts_P[:, None], begin_D, total_PD))
        return items_PD


def _scaled(vectors_ND: torch.Tensor) -> torch.Tensor:
    """Rows of unit variance; rows of zeros stay."""
    unit_ND: torch.Tensor = F.normalize(vectors_ND.float(), dim=-1)
    return unit_ND * math.sqrt(vectors_ND.shape[-1])

"""A causal LM trained on packed texts: next-token loss where labels ask for it.

R rows, T positions, P positions that are asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from semconv.artifacts.ragged import Int64
from semconv.llm.dropout import regularise
from semconv.llm.packing import PackedBatch, mask_for, pack
from semconv.llm.rows import RowGate

IGNORED = -100


@dataclass(frozen=True)
class TokenExample:
    """Token ids (T,) and which of them are learned to be said, bool (T,); the first is never asked for."""

    ids: Int64
    learned: np.ndarray[Any, np.dtype[np.bool_]]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def target_count(self) -> int:
        """Positions that are learned."""
        return int(self.learned[1:].sum())


@dataclass(frozen=True)
class TokenBatch(PackedBatch):
    """Packed texts, int64 (R, T): ids, next-token labels (`IGNORED` where none), segment and position within it.

    ``asked_P`` int64: the places that have a label, counted along all rows, so that no device need be asked for them.
    """

    ids_RT: torch.Tensor
    labels_RT: torch.Tensor
    segments_RT: torch.Tensor
    positions_RT: torch.Tensor
    asked_P: torch.Tensor
    scale: float = 1.0


def pack_texts(examples: Sequence[TokenExample], row: int, scale: float = 1.0) -> TokenBatch:
    """Pack examples into rows of about ``row`` tokens; ``scale`` multiplies the summed loss."""
    lengths = [len(example) for example in examples]
    rows, starts, n_rows, n_positions = pack(lengths, row)
    ids, segments, positions = (np.zeros((n_rows, n_positions), np.int64) for _ in range(3))
    labels = np.full((n_rows, n_positions), IGNORED, np.int64)
    for number, (example, r, begin, length) in enumerate(zip(examples, rows, starts, lengths, strict=True), start=1):
        stop = begin + length
        ids[r, begin:stop] = example.ids
        labels[r, begin : stop - 1] = np.where(example.learned[1:], example.ids[1:], IGNORED)
        segments[r, begin:stop] = number
        positions[r, begin:stop] = np.arange(length)
    return TokenBatch(
        torch.from_numpy(ids),
        torch.from_numpy(labels),
        torch.from_numpy(segments),
        torch.from_numpy(positions),
        torch.from_numpy(np.flatnonzero(labels != IGNORED)),
        scale,
    )


class PackedCausal(nn.Module):
    """Wraps a Hugging Face causal LM; ``forward(batch)`` is its loss. ``gate`` where rows are trained on their own."""

    def __init__(self, model: Any, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.model = model
        self.gate: RowGate | None = None
        if dropout:
            regularise(model, dropout)

    def forward(self, batch: TokenBatch) -> torch.Tensor:
        """Cross entropy summed over labelled positions, times ``batch.scale``; only those are multiplied out."""
        hidden_RTD = self.model.base_model(
            input_ids=batch.ids_RT,
            attention_mask=mask_for(self.model, batch.segments_RT),
            position_ids=batch.positions_RT,
            use_cache=False,
        ).last_hidden_state
        logits_PV = self.model.get_output_embeddings()(hidden_RTD.flatten(0, 1)[batch.asked_P])
        labels_P = batch.labels_RT.flatten()[batch.asked_P]
        return F.cross_entropy(logits_PV.float(), labels_P, reduction="sum") * batch.scale

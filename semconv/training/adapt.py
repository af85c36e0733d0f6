"""How a causal LM is trained to speak in codes: in full, or by LoRA and the code tokens' rows; rows first, if asked."""

from __future__ import annotations

import torch

from semconv.config import AlignSettings
from semconv.llm.lora import add_lora
from semconv.llm.packed_causal import PackedCausal
from semconv.llm.rows import RowGate


def adapt(wrapped: PackedCausal, rows: torch.Tensor, settings: AlignSettings) -> None:
    """Make of a model what the settings train; ``rows`` int64, any shape: the code tokens.

    To be called on every copy that weights are put into. LoRA's updates start from the generator of torch as it stands.
    """
    lora = settings.method == "lora"
    if lora:
        add_lora(wrapped.model, rank=settings.lora.rank, alpha=settings.lora.alpha, dropout=settings.lora.dropout)
    if lora or settings.warm_rows:
        wrapped.gate = RowGate(wrapped.model, rows.flatten(), frozen=lora)

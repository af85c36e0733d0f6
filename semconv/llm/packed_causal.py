"""A causal LM trained on packed texts: next-token loss where labels ask for it.

R rows, T positions, P positions that are asked for, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from semconv.artifacts.ragged import Int64
from semconv.llm.dropout import regularise
from semconv.llm.logits import LogitRule
from semconv.llm.openings import shared_openings
from semconv.llm.packed_attention import Stack, Stacks, attend_by_segment
from semconv.llm.packing import PackedBatch, mask_for, pack
from semconv.llm.rms_norm import replace_norms
from semconv.llm.rows import RowGate
from semconv.llm.sliced_loss import cross_entropy_sum

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

    @property
    def first_asked(self) -> int:
        """The first token that is learned, never the very first; the number of tokens where none is."""
        learned = np.flatnonzero(self.learned[1:])
        return int(learned[0]) + 1 if len(learned) else len(self)


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
    slots_X: torch.Tensor
    stacks: tuple[Stack, ...]
    scale: float = 1.0

    @property
    def stacked(self) -> Stacks:
        """Where the places lie while they attend: ``slots_X`` in ``stacks``."""
        return Stacks(self.slots_X, self.stacks)

    @property
    def spared(self) -> int:
        """See `PackedBatch`."""
        return self.stacked.spared


def pack_texts(examples: Sequence[TokenExample], row: int, scale: float = 1.0, *, share: bool = False) -> TokenBatch:
    """Pack examples into rows of about ``row`` tokens; ``scale`` multiplies the summed loss.

    With ``share``, an opening that several texts have in common is a segment of its own, which they go on from; for
    models that `may_share` allows it.
    """
    openings = shared_openings([e.ids for e in examples], [e.first_asked for e in examples]) if share else []
    begins, follows = np.zeros(len(examples), np.int64), np.zeros(1 + len(openings) + len(examples), np.int64)
    pieces = []
    for number, (length, members) in enumerate(openings, start=1):
        pieces.append((examples[members[0]].ids[:length], np.full(length, IGNORED), 0))
        begins[members] = length
        follows[1 + len(openings) + np.asarray(members)] = number
    for example, begin in zip(examples, begins.tolist(), strict=True):
        labels = np.append(np.where(example.learned[1:], example.ids[1:], IGNORED), IGNORED)
        pieces.append((example.ids[begin:], labels[begin:], begin))
    rows, starts, n_rows, n_positions = pack([len(ids) for ids, _, _ in pieces], row)
    ids_RT, segments_RT, positions_RT = (np.zeros((n_rows, n_positions), np.int64) for _ in range(3))
    labels_RT = np.full((n_rows, n_positions), IGNORED, np.int64)
    for number, ((ids, labels, begin), r, start) in enumerate(zip(pieces, rows, starts, strict=True), start=1):
        there = r, slice(start, start + len(ids))
        ids_RT[there], labels_RT[there], segments_RT[there] = ids, labels, number
        positions_RT[there] = np.arange(begin, begin + len(ids))
    stacked = Stacks.of(segments_RT, follows)
    return TokenBatch(
        torch.from_numpy(ids_RT),
        torch.from_numpy(labels_RT),
        torch.from_numpy(segments_RT),
        torch.from_numpy(positions_RT),
        torch.from_numpy(np.flatnonzero(labels_RT != IGNORED)),
        stacked.slots_X,
        stacked.stacks,
        scale,
    )


class PackedCausal(nn.Module):
    """Wraps a Hugging Face causal LM; ``forward(batch)`` is its loss. ``gate`` where rows are trained on their own."""

    def __init__(self, model: Any, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.model = model
        self.gate: RowGate | None = None
        self.attends_by_segment = attend_by_segment(model)
        self._finished = LogitRule.of(model.config)
        replace_norms(model)
        if dropout:
            regularise(model, dropout)

    def forward(self, batch: TokenBatch) -> torch.Tensor:
        """Cross entropy summed over labelled positions, times ``batch.scale``; only those are multiplied out."""
        labels_P = batch.labels_RT.flatten()[batch.asked_P]
        return cross_entropy_sum(self.logits(self.hidden(batch)), labels_P, batch.scale)

    def logits(self, hidden_PD: torch.Tensor) -> torch.Tensor:
        """What the model says of each hidden state, (P, V)."""
        logits_PV: torch.Tensor = self._finished(self.model.get_output_embeddings()(hidden_PD))
        return logits_PV

    def hidden(self, batch: TokenBatch) -> torch.Tensor:
        """What the output projection is given for each labelled position, (P, D)."""
        mask = mask_for(self.model, batch.segments_RT)
        hidden_RTD = self.model.base_model(
            input_ids=batch.ids_RT,
            attention_mask=mask,
            position_ids=batch.positions_RT,
            use_cache=False,
            **({"stacks": replace(batch.stacked, mask=mask)} if self.attends_by_segment else {}),
        ).last_hidden_state
        hidden_PD: torch.Tensor = hidden_RTD.flatten(0, 1)[batch.asked_P]
        return hidden_PD

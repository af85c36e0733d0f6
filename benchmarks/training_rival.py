"""The usual way to train a recommender of this kind: a row for every target, with the history before it.

R rows, T positions of the longest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.decode_models import LEVELS
from benchmarks.training_users import Sequences
from semconv.alignment.spelling import token_example
from semconv.artifacts.ragged import Int32
from semconv.llm.packed_causal import IGNORED, TokenExample
from semconv.llm.packing import PackedBatch

HISTORY = 20
"""Most recent items before a target."""


@dataclass(frozen=True)
class RowBatch(PackedBatch):
    """Rows padded at their end, int64 (R, T); labels are `IGNORED` but on the answer's codes."""

    ids_RT: torch.Tensor
    real_RT: torch.Tensor
    labels_RT: torch.Tensor


class Stock(nn.Module):
    """A Hugging Face causal LM and the loss that it computes itself."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: RowBatch) -> torch.Tensor:
        """Mean cross entropy over labelled positions."""
        out = self.model(input_ids=batch.ids_RT, attention_mask=batch.real_RT, labels=batch.labels_RT, use_cache=False)
        loss: torch.Tensor = out.loss
        return loss


def target_rows(sequences: Sequences, users: Sequence[Int32]) -> list[TokenExample]:
    """A row for every item of every user but the first, with at most `HISTORY` items before it."""
    return [
        _last_learned(token_example(sequences.spelling.sequence(items[max(0, place - HISTORY) : place + 1], False)))
        for items in users
        for place in range(1, len(items))
    ]


def _last_learned(example: TokenExample) -> TokenExample:
    """The same with nothing learned but the last item's codes."""
    learned = np.zeros(len(example), np.bool_)
    learned[-LEVELS:] = True
    return TokenExample(example.ids, learned)


def grouped_batches(rows: Sequence[TokenExample], positions: int) -> list[RowBatch]:
    """Batches of at most ``positions`` places, padding included, each of rows of about one length."""
    by_length = sorted(rows, key=len, reverse=True)
    batches = []
    while by_length:
        count = max(1, positions // len(by_length[0]))
        batches.append(_padded(by_length[:count]))
        by_length = by_length[count:]
    return batches


def _padded(rows: Sequence[TokenExample]) -> RowBatch:
    shape = len(rows), max(map(len, rows))
    ids, real = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    labels = np.full(shape, IGNORED, np.int64)
    for number, row in enumerate(rows):
        ids[number, : len(row)] = row.ids
        real[number, : len(row)] = 1
        labels[number, : len(row)] = np.where(row.learned, row.ids, IGNORED)
    return RowBatch(torch.from_numpy(ids), torch.from_numpy(real), torch.from_numpy(labels))

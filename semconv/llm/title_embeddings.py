"""What a language model makes of an item's title before it has read a word of context: the mean of its tokens' rows.

The mean of input embeddings, rather than of last hidden states: the rows that codes are given lie in that very table,
it needs no forward pass (a million titles take seconds, whatever the model's size), and hidden states of a causal model
lean towards the token that comes next. Legend: N items, V vocabulary, E width.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch.nn import functional as F

from semconv.artifacts import BaseModel
from semconv.llm.load import load_backbone, load_tokenizer
from semconv.llm.vocabulary import PlainText

WORDS = 32
"""Tokens of a title that count."""


def title_embeddings(base: BaseModel, titles: Sequence[str | None]) -> tuple[torch.Tensor, torch.Tensor]:
    """Float32 (N, E), zero rows for items without a title, and which items have one, bool (N)."""
    table_VE = load_backbone(base.path).get_input_embeddings().weight.detach()
    plain = PlainText(load_tokenizer(base.path))
    ids = [plain(title or "", WORDS) for title in titles]
    lengths_N = torch.as_tensor([len(row) for row in ids])
    if not int(lengths_N.sum()):
        return torch.zeros(len(ids), table_VE.shape[1]), lengths_N > 0
    flat = torch.from_numpy(np.concatenate(ids).astype(np.int64))
    starts_N = lengths_N.cumsum(0) - lengths_N
    return F.embedding_bag(flat, table_VE, starts_N, mode="mean"), lengths_N > 0

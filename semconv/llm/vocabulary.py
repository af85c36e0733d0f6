"""Code tokens: how a language model's vocabulary says item codes, and how text is kept from saying them.

L levels, C codes per level, V vocabulary, D width.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from tokenizers import AddedToken

from semconv.artifacts.ragged import Int32, Int64
from semconv.errors import ArtifactError
from semconv.tokens.rounding import RESOLUTION

_LEVELS = "abcdefghi"


def code_token(level: int, code: int) -> str:
    """How a code is written: ``<a_0>`` is code 0 of the first level."""
    return f"<{_LEVELS[level]}_{code}>"


def add_code_tokens(
    tokenizer: Any, model: Any, levels: int, codes: int, meanings_LCD: torch.Tensor | None = None
) -> None:
    """Add a token for every code of every level, and rows for them to the model's embedding.

    New rows are drawn with the mean and spread of the old ones, so that they look like tokens from the start. With
    ``meanings_LCD``, directions in the embedding's space (`projected_codes`), they lie that way from the mean of the
    old rows, each level as far on average as the old rows do; levels after the last that has directions stay drawn,
    and so do those whose codes all lie the same way or none, which would be one token many times over.
    Raises `ArtifactError` when the vocabulary already holds such tokens, and on directions of another width than the
    model's.
    """
    names = name_codes(tokenizer, levels, codes)
    known = model.get_input_embeddings().num_embeddings
    if len(tokenizer) > known:
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    rows = torch.as_tensor([tokenizer.convert_tokens_to_ids(name) for name in names])
    head = model.get_output_embeddings()
    tables = [model.get_input_embeddings().weight]
    if head is not None and head.weight is not tables[0]:
        tables.append(head.weight)
    if meanings_LCD is not None and (
        len(meanings_LCD) > levels or meanings_LCD.shape[1:] != (codes, tables[0].shape[1])
    ):
        raise ArtifactError(
            f"The tokens hold directions of shape {tuple(meanings_LCD.shape)} for {levels} levels of {codes} codes and "
            f"a model of width {tables[0].shape[1]}",
            "Redo the stage tokenize with this base model, or set align.code_rows to random",
        )
    with torch.no_grad():
        for table_VD in tables:
            old_VD = table_VD[: int(rows.min())]
            # Directions are those of the input embeddings: a head of its own has other axes.
            directions = meanings_LCD if table_VD is tables[0] else None
            told_L = torch.zeros(levels, dtype=torch.bool)
            if directions is not None:
                told_L[: len(directions)] = tells_apart(directions)
            new_LCD = torch.empty(levels, codes, table_VD.shape[1])
            new_LCD[~told_L] = old_VD.std(0) * torch.randn(int((~told_L).sum()), codes, table_VD.shape[1])
            if directions is not None:
                new_LCD[told_L] = spread_like(directions[told_L[: len(directions)]], old_VD)
            table_VD[rows] = old_VD.mean(0) + new_LCD.flatten(0, 1)


def tells_apart(meanings_LCD: torch.Tensor) -> torch.Tensor:
    """Whether the directions of a level differ by more than rounding, bool (L)."""
    apart_L = (meanings_LCD - meanings_LCD.mean(dim=1, keepdim=True)).square().sum(dim=(1, 2))
    return apart_L > RESOLUTION * meanings_LCD.square().sum(dim=(1, 2))


def name_codes(tokenizer: Any, levels: int, codes: int) -> list[str]:
    """Add a token for every code of every level to a tokenizer; the tokens, level by level.

    Raises `ArtifactError` when the vocabulary already holds such tokens.
    """
    names = [code_token(level, code) for level in range(levels) for code in range(codes)]
    taken = sorted(set(names) & tokenizer.get_vocab().keys())
    if taken:
        raise ArtifactError(
            f"The base model's vocabulary already holds code tokens ({taken[0]} and {len(taken) - 1} more)",
            "Give base.model a model that has not been aligned before",
        )
    tokenizer.add_tokens([AddedToken(name, special=True, normalized=False) for name in names], special_tokens=True)
    return names


def spread_like(meanings_LCD: torch.Tensor, old_VD: torch.Tensor) -> torch.Tensor:
    """The directions of each level, not all zero, scaled to the root mean square distance of the old rows from their
    mean."""
    wanted = (old_VD - old_VD.mean(0)).square().sum(1).mean().sqrt()
    found_L11 = meanings_LCD.square().sum(2).mean(1).sqrt()[:, None, None]
    return meanings_LCD * (wanted / found_L11)


def code_ids(tokenizer: Any, levels: int, codes: int) -> Int64:
    """Token id of every code, int64 (L, C). Raises `ArtifactError` when the vocabulary lacks one."""
    names = [[code_token(level, code) for code in range(codes)] for level in range(levels)]
    vocabulary = tokenizer.get_vocab()
    try:
        return np.asarray([[vocabulary[name] for name in row] for row in names], np.int64)
    except KeyError as error:
        raise ArtifactError(
            f"The model's vocabulary lacks the code token {error.args[0]}",
            "Open it with the tokens it was aligned to, or align again",
        ) from None


class PlainText:
    """Tokenises catalogue and user text so that nothing in it becomes a special or code token."""

    def __init__(self, tokenizer: Any) -> None:
        added = tokenizer.added_tokens_decoder
        self._tokenizer = tokenizer
        self._forbidden = set(added) | set(tokenizer.all_special_ids)
        written = sorted({token.content for token in added.values()}, key=len, reverse=True)
        self._written = re.compile("|".join(map(re.escape, written))) if written else None

    def __call__(self, text: str, limit: int | None = None) -> Int32:
        """Token ids of ``text``, at most ``limit``, int32; no special or added token is among them."""
        ids = self._encode(text)
        if self._forbidden.intersection(ids):
            ids = [i for piece in self._pieces(text) for i in self._encode(piece)]
            ids = [i for i in ids if i not in self._forbidden]
        return np.asarray(ids[:limit], np.int32)

    def _encode(self, text: str) -> Sequence[int]:
        ids: list[int] = self._tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        return ids

    def _pieces(self, text: str) -> list[str]:
        """``text`` cut after the first character of everything that reads like a special or code token."""
        if self._written is None:
            return [text]
        cuts = [match.start() + 1 for match in self._written.finditer(text)]
        return [text[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]

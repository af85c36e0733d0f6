"""The prompt that a recommendation is asked with, in the token spelling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from semconv.alignment.task import HISTORY
from semconv.alignment.templates import read_templates
from semconv.artifacts.ragged import Int32, Int64


class HistoryPrompt:
    """The token ids after which the codes of the next item follow; the same words as in training."""

    def __init__(
        self, tokenizer: Any, tokens_LC: Int64, codes_NL: Int32, max_history: int, opening: str | None = None
    ) -> None:
        """``tokens_LC`` from `code_ids`, ``codes_NL`` of the catalogue; the last ``max_history`` items are said.

        ``opening`` is what training said before a history; without it, what our own templates say.
        """
        self._prefix = history_prefix(tokenizer, opening)
        self._tokens_NL = item_tokens(tokens_LC, codes_NL)
        self._max_history = max_history

    def __call__(self, history: Int32) -> Sequence[int]:
        """Prompt of a history of item indices, oldest first, possibly empty."""
        said: list[int] = self._tokens_NL[history[-self._max_history :]].flatten().tolist()
        return self._prefix + said


def history_opening(templates: str | None = None) -> str:
    """What is said before the items of a history, by the templates in a file or by our own."""
    return read_templates(templates)[HISTORY][0].pieces[0]


def history_prefix(tokenizer: Any, opening: str | None = None) -> list[int]:
    """Token ids before the items of a history: the tokenizer's start token, if it has one, and the opening words."""
    words = history_opening() if opening is None else opening
    return start_ids(tokenizer) + list(tokenizer(words, add_special_tokens=False)["input_ids"])


def start_ids(tokenizer: Any) -> list[int]:
    """The token that opens a text, for tokenizers that have one."""
    return [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]


def item_tokens(tokens_LC: Int64, codes_NL: Int32) -> Int64:
    """Token ids of every item's codes, int64 (N, L)."""
    levels = range(codes_NL.shape[1])
    tokens_NL: Int64 = tokens_LC[levels, codes_NL]
    return tokens_NL

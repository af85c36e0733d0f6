"""Training examples of the token spelling: sequences, and the two text tasks.

A user's sequence is one text in which every item after the first is learned. The text tasks say an item's title
after its codes, and its codes after its title; each draws one of several templates. All come from the catalogue and
from training interactions alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from semconv.alignment.prompts import TEXT_TASKS, Template, history_prefix, read_templates, start_ids
from semconv.alignment.sequences import windows
from semconv.artifacts.ragged import Int32, Int64, Ragged
from semconv.llm.packed_causal import TokenExample


class TokenExamples:
    """The examples of an epoch by number; the first are sequences, the rest text tasks drawn anew every epoch."""

    def __init__(
        self,
        training: Ragged,
        titles: Sequence[Int32],
        tokenizer: Any,
        tokens_NL: Int64,
        *,
        max_history: int,
        text_share: float,
        seed: int,
    ) -> None:
        """``titles`` holds the token ids of every item's title, possibly empty; ``tokens_NL`` those of its codes."""
        self._rows = windows(training, max_history + 1).rows
        self._titles, self._tokens_NL, self._seed = titles, tokens_NL, seed
        self._titled = np.asarray([item for item, ids in enumerate(titles) if len(ids)], np.int64)
        self._prefix = history_prefix(tokenizer)
        self._start = start_ids(tokenizer)
        self._end = [] if tokenizer.eos_token_id is None else [tokenizer.eos_token_id]
        templates = read_templates()
        self._templates = [[_tokenised(template, tokenizer) for template in templates[task]] for task in TEXT_TASKS]
        share = min(text_share, 0.99) if len(self._titled) else 0.0
        self._texts = round(len(self._rows) * share / (1 - share))

    def __len__(self) -> int:
        return len(self._rows) + self._texts

    def example(self, epoch: int, number: int) -> TokenExample:
        """Example ``number`` of an epoch."""
        if number >= len(self._rows):
            return self._text(np.random.default_rng((self._seed, epoch, number)))
        said = self._tokens_NL[self._rows[number]]
        ids = np.concatenate([np.asarray(self._prefix, np.int64), said.flatten()])
        return TokenExample(ids, np.arange(len(ids)) >= len(self._prefix) + said.shape[1])

    def _text(self, random: np.random.Generator) -> TokenExample:
        item = int(random.choice(self._titled))
        task = int(random.integers(len(TEXT_TASKS)))
        pieces = self._templates[task][int(random.integers(len(self._templates[task])))]
        ids = list(self._start)
        answer = 0
        for piece in pieces:
            answer = len(ids)
            if not isinstance(piece, str):
                ids.extend(piece)
            elif piece == "item":
                ids.extend(self._tokens_NL[item].tolist())
            else:
                ids.extend(self._titles[item].tolist())
        if pieces[-1] == "title":
            ids.extend(self._end)
        return TokenExample(np.asarray(ids, np.int64), np.arange(len(ids)) >= answer)


def _tokenised(template: Template, tokenizer: Any) -> list[str | list[int]]:
    """Literal pieces as token ids, placeholders by name."""
    return [
        piece if place % 2 else list(tokenizer(piece, add_special_tokens=False)["input_ids"])
        for place, piece in enumerate(template.pieces)
    ]

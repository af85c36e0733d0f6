"""From what a task says to a row of examples, and from a row to what the model is given.

L levels, N items.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from semconv.alignment.prompts import history_prefix, start_ids
from semconv.alignment.task import HISTORY, ITEMS, TITLES, Parts, Task
from semconv.alignment.templates import Template
from semconv.artifacts.examples import ExampleRow
from semconv.artifacts.ragged import Int32, Int64
from semconv.errors import SettingError
from semconv.llm.compact_batch import NOTHING, CompactExample
from semconv.llm.packed_causal import TokenExample

Pieces = list[str | list[int]]
_NONE = np.zeros(0, np.int32)
ANSWER = 8
"""Tokens of yes or no, at most."""


class Spelling(Protocol):
    """How examples are written down."""

    name: str

    def sequence(self, items: Int32, whole: bool) -> ExampleRow:
        """A stretch of a user's sequence, ``whole`` where it begins as the sequence does."""
        ...

    def example(self, task: Task, parts: Parts, random: np.random.Generator) -> ExampleRow:
        """An example of a task."""
        ...


class CompactSpelling:
    """Words first, then items; the answer is the last item, and of a sequence every one."""

    name = "compact"

    def __init__(self, context: int) -> None:
        """``context``: most positions of an example."""
        self._context = context

    def sequence(self, items: Int32, whole: bool) -> ExampleRow:
        """See `Spelling`."""
        return ExampleRow(_NONE, items, 0 if whole else 1)

    def example(self, task: Task, parts: Parts, random: np.random.Generator) -> ExampleRow:  # noqa: ARG002  # `Spelling`
        """See `Spelling`; what does not fit is cut from the history, oldest first."""
        words = np.concatenate([_NONE, *(np.asarray(parts[name]) for name in task.places if name not in ITEMS)])
        room = max(0, self._context - len(words) - 1)
        history = np.asarray(parts.get(HISTORY, _NONE), np.int32)
        items = np.concatenate([history[max(0, len(history) - room) :], np.asarray(parts[task.answer], np.int32)])
        return ExampleRow(words.astype(np.int32), items, len(items) - 1)


class TokenSpelling:
    """One text: literals of a template, code tokens of items, words."""

    name = "tokens"

    def __init__(self, tokenizer: Any, tokens_NL: Int64, templates: dict[str, list[Template]], context: int) -> None:
        """``tokens_NL`` from `item_tokens`; ``templates`` from `read_templates`; ``context`` in tokens."""
        self._tokens_NL, self._context = tokens_NL, context
        self._start = start_ids(tokenizer)
        self._end = [] if tokenizer.eos_token_id is None else [tokenizer.eos_token_id]
        self._prefix = np.asarray(history_prefix(tokenizer, templates[HISTORY][0].pieces[0]), np.int32)
        self._between = list(tokenizer("; ", add_special_tokens=False)["input_ids"])
        self._templates = {
            task: [_tokenised(template, tokenizer) for template in given] for task, given in templates.items()
        }
        self._texts = templates

    def sequence(self, items: Int32, whole: bool) -> ExampleRow:  # noqa: ARG002  # `Spelling`
        """See `Spelling`; the first item of a stretch is not learned."""
        said = self._tokens_NL[items].astype(np.int32)
        return ExampleRow(np.concatenate([self._prefix, said.flatten()]), _NONE, len(self._prefix) + said.shape[1])

    def example(self, task: Task, parts: Parts, random: np.random.Generator) -> ExampleRow:
        """See `Spelling`; what does not fit is cut from the history, oldest first."""
        choices = self._templates[task.name]
        return self._row(choices[int(random.integers(len(choices)))], task, parts)

    def question(self, task: Task, parts: Parts) -> Int32:
        """Token ids up to the answer, by the task's first template.

        ``parts`` need not hold the answer; where they do, the history leaves room for it, as in training.
        """
        row = self._row(self._templates[task.name][0], task, {task.answer: _NONE, **parts})
        return row.words[: row.answer]

    def ending(self, task: Task, answer: Int32) -> Int32:
        """Token ids of an answer: the codes of an item, or words and the token that ends a text."""
        return np.asarray(self._said(task.answer, answer) + self._closing(task), np.int32)

    def require_room(self, task: Task, limits: dict[str, int], candidates: int) -> None:
        """Raise `SettingError` unless every template fits with its words and one item of the history.

        ``limits``: most tokens of each fact; ``candidates``: most items that are offered at once.
        """
        levels = int(self._tokens_NL.shape[1])
        sizes: dict[str, int] = (
            dict.fromkeys(ITEMS, levels) | {"candidates": candidates * levels, "answer": ANSWER} | limits
        )
        for pieces, template in zip(self._templates[task.name], self._texts[task.name], strict=True):
            words = sum(sizes.get(p, limits["title"]) if isinstance(p, str) else len(p) for p in pieces)
            needed = len(self._start) + words + len(self._closing(task))
            if needed > self._context:
                raise SettingError(
                    f"The template {_text(template)!r} of task {task.name} needs {needed} tokens with what it is "
                    f"filled with, and the base model reads {self._context}",
                    f"Raise base.context, shorten the template, or set align.tasks.{task.family} to 0",
                )

    def _row(self, pieces: Pieces, task: Task, parts: Parts) -> ExampleRow:
        said = {name: self._said(name, parts[name]) for name in task.places if name not in (HISTORY, TITLES)}
        fixed = sum(len(piece) for piece in pieces if not isinstance(piece, str))
        fixed += len(self._start) + len(self._closing(task)) + sum(map(len, said.values()))
        room = self._context - fixed
        if HISTORY in parts:
            kept = max(0, room) // self._tokens_NL.shape[1]
            history = np.asarray(parts[HISTORY], np.int32)
            said[HISTORY] = self._said(HISTORY, history[max(0, len(history) - kept) :])
        if TITLES in parts:
            said[TITLES] = self._joined(list(parts[TITLES]), room)
        ids, answer = list(self._start), 0
        for piece in pieces:
            answer = len(ids)
            ids += said[piece] if isinstance(piece, str) else piece
        return ExampleRow(np.asarray(ids + self._closing(task), np.int32), _NONE, answer)

    def _said(self, name: str, part: Int32 | list[Int32]) -> list[int]:
        ids = np.asarray(part, np.int64)
        said: list[int] = (self._tokens_NL[ids].flatten() if name in ITEMS else ids).tolist()
        return said

    def _joined(self, titles: Sequence[Int32], room: int) -> list[int]:
        """The latest titles that fit, oldest first."""
        ids: list[int] = []
        for title in reversed(titles):
            longer = [*title.tolist(), *self._between, *ids] if ids else title.tolist()
            if len(longer) > room:
                break
            ids = longer
        return ids

    def _closing(self, task: Task) -> list[int]:
        return [] if task.answer in ITEMS else self._end


def token_example(row: ExampleRow) -> TokenExample:
    """A row of the token spelling as the model takes it."""
    return TokenExample(row.words.astype(np.int64), np.arange(len(row.words)) >= row.answer)


def token_size(row: ExampleRow) -> tuple[int, int]:
    """Length and target count of `token_example`; the first token is never asked for."""
    return len(row.words), len(row.words) - max(1, row.answer)


def compact_example(row: ExampleRow) -> CompactExample:
    """A row of the compact spelling as the model takes it."""
    targets = row.items.copy()
    targets[: row.answer] = NOTHING
    return CompactExample(row.words, row.items[:-1], targets)


def compact_size(row: ExampleRow) -> tuple[int, int]:
    """Length and target count of `compact_example`."""
    return len(row.words) + len(row.items), len(row.items) - row.answer


def _text(template: Template) -> str:
    return "".join(f"{{{piece}}}" if place % 2 else piece for place, piece in enumerate(template.pieces))


def _tokenised(template: Template, tokenizer: Any) -> Pieces:
    """Literal pieces as token ids, placeholders by name."""
    return [
        piece if place % 2 else list(tokenizer(piece, add_special_tokens=False)["input_ids"])
        for place, piece in enumerate(template.pieces)
    ]

"""Prompts of the token spelling: the one a recommendation is asked with, and the templates of the text tasks."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from semconv.artifacts.ragged import Int32, Int64
from semconv.errors import SettingError

TEMPLATES = Path(__file__).with_name("templates.toml")
HISTORY = "history"
TEXT_TASKS = ("title_to_item", "item_to_title")
_PLACEHOLDERS = {
    HISTORY: ("history",),
    "title_to_item": ("title", "item"),
    "item_to_title": ("item", "title"),
}


@dataclass(frozen=True)
class Template:
    """A template in pieces: literal text and placeholder names in turn, the first piece literal."""

    pieces: tuple[str, ...]


def read_templates(path: Path = TEMPLATES) -> dict[str, list[Template]]:
    """Templates by task. Raises `SettingError` naming file, task and template where one does not fit its task."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingError(f"The templates {path} cannot be read: {error}", "Make it valid TOML") from None
    return {task: _parse(path, task, names, content.get(task)) for task, names in _PLACEHOLDERS.items()}


def _parse(path: Path, task: str, names: tuple[str, ...], given: Any) -> list[Template]:
    texts = [given] if isinstance(given, str) else given
    wanted = ", ".join(f"{{{name}}}" for name in names)
    if not texts or not all(isinstance(text, str) for text in texts):
        raise SettingError(f"{path} has no templates for the task {task}", f"Add one that holds {wanted}")
    templates = []
    for text in texts:
        pieces = re.split(r"\{(\w+)\}", text)
        if tuple(pieces[1::2]) != names or pieces[-1]:
            raise SettingError(
                f"The template {text!r} of task {task} in {path} does not hold {wanted} in this order, the last at its "
                "end",
                "Write each placeholder once",
            )
        templates.append(Template(tuple(pieces[:-1])))
    return templates


class HistoryPrompt:
    """The token ids after which the codes of the next item follow; the same words as in training."""

    def __init__(self, tokenizer: Any, tokens_LC: Int64, codes_NL: Int32, max_history: int) -> None:
        """``tokens_LC`` from `code_ids`, ``codes_NL`` of the catalogue; the last ``max_history`` items are said."""
        self._prefix = history_prefix(tokenizer)
        self._tokens_NL = item_tokens(tokens_LC, codes_NL)
        self._max_history = max_history

    def __call__(self, history: Int32) -> Sequence[int]:
        """Prompt of a history of item indices, oldest first, possibly empty."""
        said: list[int] = self._tokens_NL[history[-self._max_history :]].flatten().tolist()
        return self._prefix + said


def history_prefix(tokenizer: Any) -> list[int]:
    """What is said before the items of a history: the tokenizer's start token, if it has one, and our words."""
    literal = read_templates()[HISTORY][0].pieces[0]
    return start_ids(tokenizer) + list(tokenizer(literal, add_special_tokens=False)["input_ids"])


def start_ids(tokenizer: Any) -> list[int]:
    """The token that opens a text, for tokenizers that have one."""
    return [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]


def item_tokens(tokens_LC: Int64, codes_NL: Int32) -> Int64:
    """Token ids of every item's codes, int64 (N, L)."""
    levels = range(codes_NL.shape[1])
    tokens_NL: Int64 = tokens_LC[levels, codes_NL]
    return tokens_NL

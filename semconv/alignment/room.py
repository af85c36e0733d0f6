"""Whether histories fit into what the base model reads at once, told from its configuration before anything is made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from semconv.alignment.facts import LIMITS
from semconv.alignment.prompts import history_opening, history_prefix
from semconv.config import AlignSettings
from semconv.errors import SettingError
from semconv.llm.load import context_of, load_config, window_of

WORDS = LIMITS["title"]
"""Tokens of a title that a model reads."""


def read_at_once(base: Path, settings: AlignSettings, tokenizer: Any, levels: int) -> int:
    """Tokens (compact: positions) that an example may take: the base model's context, or its window where it has one.

    Attention over packed texts knows no windows, and what was learned without one would be answered with one: texts
    stay within it. Raises `SettingError` where `align.max_history` items and the next one do not fit.
    """
    config = load_config(base)
    context, window = context_of(config), window_of(config)
    needed = settings.max_history + 1 + WORDS
    if settings.spelling == "tokens":
        prefix = history_prefix(tokenizer, history_opening(settings.tasks.templates))
        needed = max(len(prefix) + (settings.max_history + 1) * levels, 2 * WORDS)
    if needed > context:
        raise SettingError(
            f"The base model reads {context} tokens and align.max_history {settings.max_history} asks for {needed}",
            "Lower align.max_history or raise base.context",
        )
    if needed > window:
        raise SettingError(
            f"The base model's attention looks back {window} tokens (a sliding window or chunks) and align.max_history "
            f"{settings.max_history} asks for {needed}",
            "Lower align.max_history, or choose a base model with a longer window or none",
        )
    return min(context, window)

"""Text as a person would read it: no entities, no markup, no stray whitespace."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable

_HIDDEN = re.compile(r"<(script|style)\b.*?</\1\s*>|<!--.*?-->", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"</?[a-zA-Z][^<>]*>|<!doctype[^<>]*>", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b\u200e\u200f\ufeff]+")
_UNESCAPES = 3
"""Entities are often escaped twice (``&amp;amp;``), seldom three times."""


def clean_text(text: str | None) -> str | None:
    """``text`` without entities, markup, control characters and repeated whitespace; none when nothing is left."""
    if text is None:
        return None
    for _ in range(_UNESCAPES):
        if "<" in text:
            text = _TAG.sub(" ", _HIDDEN.sub(" ", text))
        if "&" not in text:
            break
        unescaped = html.unescape(text)
        if unescaped == text:
            break
        text = unescaped
    if "<" in text:
        text = _TAG.sub(" ", _HIDDEN.sub(" ", text))
    return " ".join(_CONTROL.sub(" ", text).split()) or None


def flatten_text(value: object) -> str | None:
    """Text that may come as a string, a number or a (nested) list of them: joined by spaces, then cleaned."""
    return clean_text(" ".join(_strings(value)))


def split_categories(value: object, separator: str) -> list[str] | None:
    """Category names, cleaned and each once, from one string or a (nested) list; none when there is none."""
    strings = value.split(separator) if isinstance(value, str) else _strings(value)
    names = [name for name in (clean_text(string) for string in strings) if name]
    return list(dict.fromkeys(names)) or None


def _strings(value: object) -> Iterable[str]:
    if value is None:
        return
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _strings(part)
    elif isinstance(value, (int, float)) and value == value:
        yield str(value)

"""Answers as they go over the wire: JSON that can be kept, and the time that each took, which cannot."""

from __future__ import annotations

import time
from typing import Any

from serve.http import JSON, Response, encode
from serve.questions import Answer


def content(answer: Answer, *, ignored: bool = False) -> bytes:
    """The answer as JSON, but for the time it took and the closing brace."""
    told: dict[str, Any] = {"source": answer.source, "items": answer.items, "versions": answer.versions}
    if answer.source == "fallback":
        told["fallback"] = answer.rung
    if ignored:
        told["ignored_items"] = answer.ignored
    return encode(told)[:-1].encode()


def timed(content: bytes, started: float, rung: str = "") -> Response:
    """`content` with the time since ``started`` (`time.perf_counter`), counted for a rung where one is named."""
    took_ms = 1000 * (time.perf_counter() - started)
    return Response(b'%b,"took_ms":%.3f}' % (content, took_ms), 200, JSON, (), rung)

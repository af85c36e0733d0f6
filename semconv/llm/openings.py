"""Openings that many texts of a batch share, so that they can be read once for all of them.

A causal model makes the same of the same first tokens. Every history begins with the same words, which with short
histories are a fifth of all tokens. Beam search shares prompts likewise.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from semconv.artifacts.ragged import Int64

LEAST = 4
"""Tokens below which an opening is not worth a segment of its own."""


def shared_openings(texts: Sequence[Int64], asked: Sequence[int]) -> list[tuple[int, list[int]]]:
    """Openings as their length and the numbers of the texts that share them, two or more; no text is in two.

    ``asked``: the first token, never the very first, that each text is asked for; nothing of an opening is asked for,
    nor is anything asked for right after it.
    """
    alike: dict[bytes, list[int]] = defaultdict(list)
    for number, ids in enumerate(texts):
        if asked[number] > LEAST:
            alike[ids[:LEAST].tobytes()].append(number)
    return [
        (_length([texts[number] for number in members], min(asked[number] for number in members) - 1), members)
        for members in alike.values()
        if len(members) > 1
    ]


def _length(texts: Sequence[Int64], most: int) -> int:
    """First tokens that all texts have in common, at most ``most``."""
    first_NT = np.stack([ids[:most] for ids in texts])
    differ = np.flatnonzero((first_NT != first_NT[0]).any(axis=0))
    return int(differ[0]) if len(differ) else most

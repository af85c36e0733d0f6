"""The last two rungs, which need no model: what stands near the history, then what is popular."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from serve.collaborative import votes
from serve.questions import Rung, Wanted
from serve.shelf import Shelf


def fallback(shelf: Shelf, history: Sequence[int], wanted: Wanted) -> tuple[Rung, list[dict[str, Any]]]:
    """The rung that stands, and its items as answers show them: ``wanted.k`` whenever so many are allowed.

    Items that match a wish in words come first. What nobody votes for follows by popularity, with a score of 0; where
    nothing else is known at all, scores are how often items were bought.
    """
    catalogue = shelf.catalogue
    allowed_N = shelf.allowed(wanted, history)
    scores_N = votes(catalogue.snapshot, history)
    scores_N[~allowed_N] = 0
    rung: Rung = "collaborative" if (scores_N > 0).any() else "popular"
    if wanted.wish:
        match_N = catalogue.index.match(wanted.wish)
        matching_N = allowed_N & (match_N > 0)
        scores_N /= scores_N.max(initial=0) or 1
        scores_N[matching_N] += 1 + match_N[matching_N]
    known = np.flatnonzero(scores_N > 0)
    known = known[np.lexsort((-catalogue.popularity[known], -scores_N[known]))]
    for popular in (catalogue.most_popular, catalogue.by_popularity):  # the first few are enough but for narrow filters
        items = np.concatenate([known, popular[allowed_N[popular] & (scores_N[popular] <= 0)]])
        if catalogue.rules.per_category:
            items = items[catalogue.rules.allowed(items)]
        best = items[: wanted.k]
        if len(best) == wanted.k:
            break
    scores = scores_N[best] if len(known) else catalogue.popularity[best].astype(np.float32)
    return rung, shelf.first(best.tolist(), scores.tolist(), wanted)

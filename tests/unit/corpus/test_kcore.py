"""The k-core beside a brute force, and beside what it promises."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from semconv.corpus.kcore import k_core

EDGES = st.lists(st.tuples(st.integers(0, 8), st.integers(0, 6)), max_size=60)


def brute_force(edges: list[tuple[int, int]], k: int) -> list[int]:
    """Remove one row of one poor user or item at a time."""
    kept = list(range(len(edges)))
    while True:
        poor = [
            row
            for row in kept
            if sum(edges[other][0] == edges[row][0] for other in kept) < k
            or sum(edges[other][1] == edges[row][1] for other in kept) < k
        ]
        if not poor:
            return kept
        kept.remove(poor[0])


@settings(deadline=None)
@given(EDGES, st.integers(0, 5))
def test_the_core_is_what_brute_force_leaves(edges: list[tuple[int, int]], k: int) -> None:
    users, items = (np.array([edge[side] for edge in edges], np.int32) for side in (0, 1))
    assert k_core(users, items, k).tolist() == brute_force(edges, k)


def test_a_chain_unravels_to_the_end() -> None:
    # User n has items n and n + 1: at k = 2 the ends fall, and with them, one by one, all the rest.
    links = np.arange(500, dtype=np.int32)
    users = np.repeat(links, 2)
    items = np.stack([links, links + 1], axis=1).ravel().astype(np.int32)
    assert len(k_core(users, items, 1)) == 1000
    assert len(k_core(users, items, 2)) == 0

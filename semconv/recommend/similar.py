"""Neighbours of every item: by what people did with both, and by text where people say too little.

Item-to-item neighbourhoods (Sarwar et al. 2001; Linden et al. 2003), filled up by content. N items, D width,
S neighbours.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
import torch
from torch.nn import functional as F

from semconv.artifacts import ItemVectors
from semconv.artifacts.ragged import Int32
from semconv.behaviour.ordering import NO_ITEM, tie_rank, top_k
from semconv.behaviour.store import Behaviour

Float32 = npt.NDArray[np.float32]

ENOUGH = 50
"""Neighbours by votes; an item that has as many is not filled up by text, however long the list."""
ENTRIES = 2**24
"""Scores that are held at a time, at most."""


def similar_items(behaviour: Behaviour, vectors: ItemVectors, blocked: Int32, width: int) -> tuple[Int32, Float32]:
    """The ``width`` neighbours of every item, best first: items int32 and scores float32 (N, S).

    `NO_ITEM` and -inf past the last. Votes are those of the counter that was tuned on validation users, or of the fixed
    one where none was. No item is its own neighbour, and none that is ``blocked`` is anybody's.
    """
    counter = behaviour.item_to_item_tuned or behaviour.item_to_item
    items_NS, scores_NS = voted(counter.votes_NN, behaviour.counts, blocked, width)
    fill_by_text(items_NS, scores_NS, vectors.text, vectors.has_text, behaviour.counts, blocked)
    return items_NS, scores_NS


def voted(votes_NN: sp.csr_array, counts_N: torch.Tensor, blocked: Int32, width: int) -> tuple[Int32, Float32]:
    """Neighbours by votes; of the two that items have for each other, the higher one counts for both.

    Shapes and filling as in `similar_items`; equal votes are ordered by training count, then by index.
    """
    n_items = votes_NN.shape[0]
    votes_NN = sp.csr_array(votes_NN.maximum(votes_NN.T.tocsr()))
    rank_N, barred_N = tie_rank(counts_N).numpy(), _marked(blocked, n_items)
    items_NS = np.full((n_items, width), NO_ITEM, np.int32)
    scores_NS = np.full((n_items, width), -np.inf, np.float32)
    for start, stop in _blocks(votes_NN.indptr):
        part = slice(votes_NN.indptr[start], votes_NN.indptr[stop])
        items_X, votes_X = votes_NN.indices[part], votes_NN.data[part]
        rows_X = np.repeat(np.arange(start, stop), np.diff(votes_NN.indptr[start : stop + 1]))
        kept = (votes_X > 0) & (items_X != rows_X) & ~barred_N[items_X]
        items_X, votes_X, rows_X = items_X[kept], votes_X[kept], rows_X[kept]
        order = np.lexsort((rank_N[items_X], -votes_X, rows_X))
        items_X, votes_X, rows_X = items_X[order], votes_X[order], rows_X[order]
        places_X = np.arange(len(rows_X)) - np.searchsorted(rows_X, rows_X)
        best = places_X < width
        items_NS[rows_X[best], places_X[best]] = items_X[best]
        scores_NS[rows_X[best], places_X[best]] = votes_X[best]
    return items_NS, scores_NS


def fill_by_text(
    items_NS: Int32,
    scores_NS: Float32,
    text_ND: torch.Tensor,
    has_text_N: torch.Tensor,
    counts_N: torch.Tensor,
    blocked: Int32,
) -> None:
    """Put items of like text behind the neighbours by votes, in place, where there are fewer than S and `ENOUGH`.

    A cosine counts in parts of the row's lowest vote, or of what is usual among the lowest votes where a row has none,
    so that scores stay in order and a likeness in words never outweighs what people did.
    """
    n_items, width = items_NS.shape
    has_N = (items_NS != NO_ITEM).sum(axis=1)
    lowest_N = np.where(scores_NS > -np.inf, scores_NS, np.inf).min(axis=1, initial=np.inf)
    usual = float(np.median(lowest_N[has_N > 0])) if has_N.any() else 1.0
    unit_ND = F.normalize(text_ND.float(), dim=1) * has_text_N[:, None]
    shown_ND = unit_ND * torch.from_numpy(~_marked(blocked, n_items))[:, None]
    short = np.flatnonzero((has_N < min(width, ENOUGH)) & has_text_N.numpy())
    for rows in np.array_split(short, max(1, -(-len(short) * n_items // ENTRIES))):
        own = [np.append(items_NS[row, : has_N[row]], row).astype(np.int32) for row in rows]
        found, cosines = top_k(unit_ND[rows] @ shown_ND.T, width, counts_N, own)
        for row, items, values in zip(rows, found, cosines, strict=True):
            take = min(width - has_N[row], int((values > 0).sum()))
            places = slice(has_N[row], has_N[row] + take)
            items_NS[row, places] = items[:take]
            scores_NS[row, places] = values[:take].clip(max=1) * (lowest_N[row] if has_N[row] else usual)


def _marked(items: Int32, n_items: int) -> npt.NDArray[np.bool_]:
    """Which items are among these, bool (N)."""
    marked = np.zeros(n_items, bool)
    marked[items] = True
    return marked


def _blocks(offsets: npt.NDArray[np.integer]) -> Iterator[tuple[int, int]]:
    """Runs of rows with about `ENTRIES` entries at most, one row at least."""
    start = 0
    while start < len(offsets) - 1:
        stop = max(start + 1, int(np.searchsorted(offsets, offsets[start] + ENTRIES, side="right")) - 1)
        yield start, stop
        start = stop

"""Cleaned blocks brought together: strings become codes that hold across blocks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from semconv.artifacts.ragged import Int32
from semconv.corpus.accounting import Ledger
from semconv.corpus.interactions import FILTERED, KEPT, REASONS
from semconv.corpus.sequences import Log
from semconv.corpus.write import Quarantine
from semconv.progress import Report


class Cleaned(NamedTuple):
    """A cleaned block: the name of its file, its rows, and the share of all input read by its end."""

    source: str
    rows: pa.Table
    share: float


@dataclass(frozen=True)
class Gathered:
    """All kept interactions, in the input's order, with ids by code; codes are in order of first appearance.

    ``titles`` are title codes int32 (-1 where null) and the titles they stand for; empty unless the catalogue is
    derived.
    """

    log: Log
    user_ids: pa.Array
    item_ids: pa.Array
    titles: tuple[Int32, pa.Array]


def gather_interactions(blocks: Iterable[Cleaned], ledger: Ledger, quarantine: Quarantine, report: Report) -> Gathered:
    """Bring blocks of `InteractionCleaner` together; counts every row and passes refused ones on to quarantine."""
    users, items, orders, titles = [], [], [], []
    for source, block, share in blocks:
        ledger.rows += block.num_rows
        reasons = block["reason"].to_numpy()
        if np.any(reasons != KEPT):
            _refuse(source, block, ledger, quarantine)
            block = block.filter(pc.equal(block["reason"], KEPT))
        users += block["user"].chunks
        items += block["item"].chunks
        orders.append(block["order"].to_numpy())
        if "title" in block.column_names:
            titles += block["title"].chunks
        report(share, 1.0, f"reading {ledger.rows:,} rows")
    user_codes, user_ids = _unified(users)
    item_codes, item_ids = _unified(items)
    order = np.concatenate(orders) if orders else np.zeros(0, np.int64)
    log = Log(user_codes, item_codes, order)
    return Gathered(log, user_ids, item_ids, _unified(titles))


def _refuse(source: str, block: pa.Table, ledger: Ledger, quarantine: Quarantine) -> None:
    codes = block["reason"].to_numpy()
    refused = np.zeros(len(codes), bool)
    for code in np.unique(codes[codes != KEPT]):
        reason = REASONS[code]
        where = codes == code
        if reason in FILTERED:
            ledger.filter(reason, int(where.sum()))
        else:
            ledger.quarantine(reason, int(where.sum()))
            refused |= where
    rows = block.filter(pa.array(refused))
    quarantine.add(source, rows["line"], [REASONS[code] for code in codes[refused]], rows["row"])


def _unified(chunks: list[pa.DictionaryArray]) -> tuple[Int32, pa.Array]:
    """Codes that hold across chunks, int32 (-1 where null), and the values they stand for."""
    if not chunks:
        return np.zeros(0, np.int32), pa.array([], pa.string())
    column = pa.chunked_array(chunks).unify_dictionaries()
    codes = np.concatenate([pc.fill_null(chunk.indices, -1).to_numpy(zero_copy_only=False) for chunk in column.chunks])
    return codes.astype(np.int32, copy=False), column.chunk(0).dictionary

"""Cleaning of interaction rows, a block at a time: every row is kept, quarantined or filtered, never lost."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from semconv.corpus.ids import clean_ids
from semconv.corpus.layouts import Layout
from semconv.corpus.lines import parse_line
from semconv.corpus.source import Source
from semconv.corpus.text import clean_text
from semconv.corpus.times import parse_floats, parse_integers, parse_times

KEPT = 0
REASONS = (
    "",
    "wrong number of fields",
    "unreadable line",
    "missing user id",
    "missing item id",
    "cancellation",
    "non-positive quantity",
    "unparsable time",
    "unparsable position",
    "unparsable rating",
    "missing rating",
    "rating below corpus.min_rating",
)
"""Reasons by code; the first that holds is the one a row is counted under."""

FILTERED = frozenset({"rating below corpus.min_rating"})
"""Reasons for which a valid row is left out; the others quarantine."""

_ROW_TEXT = 1000


@dataclass(frozen=True)
class InteractionCleaner:
    """Cleans the blocks of `semconv.corpus.blocks.read_blocks`, of the files of one input."""

    layout: Layout
    min_rating: float | None
    derive_items: bool

    def __call__(self, raw: pa.Table, source: Source) -> pa.Table:
        """One row for each row of ``raw``, in order.

        Columns: user, item (dictionary<int32, string>), order int64 (nanoseconds, or the position where the input has
        no timestamps), reason int8 (index into `REASONS`), line int64 and row string (null where the row is kept),
        and, where the catalogue is derived, title (dictionary<int32, string>).
        """
        table = _columns(raw, source)
        reason = _Reasons(table.num_rows)
        reason.where(
            pc.is_valid(table["broken"]), "wrong number of fields" if source.format == "csv" else "unreadable line"
        )
        user, item = clean_ids(table["user_id"]), clean_ids(table["item_id"])
        reason.where(pc.is_null(user, nan_is_null=False), "missing user id")
        reason.where(pc.is_null(item, nan_is_null=False), "missing item id")
        if self.layout.invoices:
            self._invoices(table, reason)
        order = self._order(table, reason)
        if "rating" in table:
            self._ratings(table["rating"], reason)
        columns = {"user": user, "item": item, "order": order, "reason": reason.codes}
        bad = reason.codes != KEPT
        columns["line"] = pa.array(table["line"].to_numpy(), mask=~bad)
        columns["row"] = _row_text(table, bad)
        if self.derive_items:
            columns["title"] = _titles(table["title"])
        return pa.table(columns)

    def _invoices(self, table: dict[str, pa.Array], reason: _Reasons) -> None:
        if "invoice" in table:
            invoice = pc.utf8_upper(pc.utf8_trim_whitespace(table["invoice"].cast(pa.string())))
            reason.where(pc.starts_with(invoice, "C"), "cancellation")
        if "quantity" in table:
            quantity = parse_floats(table["quantity"])
            reason.where(pc.invert(pc.fill_null(pc.greater(quantity, 0), False)), "non-positive quantity")

    def _order(self, table: dict[str, pa.Array], reason: _Reasons) -> pa.Array:
        if "timestamp" in table:
            order = parse_times(table["timestamp"], self.layout.time_unit)
            reason.where(pc.is_null(order), "unparsable time")
        else:
            order = parse_integers(table["position"])
            reason.where(pc.is_null(order), "unparsable position")
        return pc.fill_null(order, 0)

    def _ratings(self, column: pa.Array, reason: _Reasons) -> None:
        ratings = parse_floats(column)
        missing = pc.or_(pc.is_null(column), pc.equal(pc.utf8_trim_whitespace(column.cast(pa.string())), ""))
        missing = pc.fill_null(missing, True)
        reason.where(pc.and_(pc.is_null(ratings), pc.invert(missing)), "unparsable rating")
        if self.min_rating is not None:
            reason.where(missing, "missing rating")
            reason.where(pc.fill_null(pc.less(ratings, self.min_rating), False), "rating below corpus.min_rating")


class _Reasons:
    """The first reason that holds for each row."""

    def __init__(self, rows: int) -> None:
        self.codes: npt.NDArray[np.int8] = np.zeros(rows, np.int8)

    def where(self, mask: pa.Array, reason: str) -> None:
        holds = mask.to_numpy(zero_copy_only=False).astype(bool, copy=False)
        self.codes[holds & (self.codes == KEPT)] = REASONS.index(reason)


class _Table(dict[str, pa.Array]):
    """Columns by name, all of ``num_rows``."""

    @property
    def num_rows(self) -> int:
        return len(self["line"])


def _columns(raw: pa.Table, source: Source) -> _Table:
    """The block's columns under our names; lines are taken apart, and those that are no record are ``broken``."""
    if "text" not in raw.column_names:
        return _Table({name: _flat(raw[name]) for name in raw.column_names})
    texts = raw["text"].to_pylist()
    records = [parse_line(text, source.format, source.names) for text in texts]
    columns = _Table(line=_flat(raw["line"]))
    for ours, theirs in source.columns.items():
        values = (None if record is None else record.get(theirs) for record in records)
        columns[ours] = pa.array([None if value is None else str(value) for value in values], pa.string())
    broken = [text if record is None else None for text, record in zip(texts, records, strict=True)]
    columns["broken"] = pa.array(broken, pa.string())
    return columns


def _flat(column: pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)


def _row_text(table: _Table, bad: npt.NDArray[np.bool_]) -> pa.Array:
    """The rows that ``bad`` marks as text, as they were read; null elsewhere."""
    texts: list[str | None] = [None] * table.num_rows
    where = np.flatnonzero(bad)
    if len(where):
        chosen = pa.table({name: column.take(pa.array(where)) for name, column in table.items() if name != "line"})
        for index, row in zip(where, chosen.to_pylist(), strict=True):
            broken = row.pop("broken")
            texts[index] = (broken if broken is not None else json.dumps(row, default=str))[:_ROW_TEXT]
    return pa.array(texts, pa.string())


def _titles(column: pa.Array) -> pa.DictionaryArray:
    raw = column.cast(pa.string()).dictionary_encode()
    cleaned = pa.array([clean_text(title) for title in raw.dictionary.to_pylist()], pa.string()).dictionary_encode()
    return pa.DictionaryArray.from_arrays(cleaned.indices.take(raw.indices), cleaned.dictionary)

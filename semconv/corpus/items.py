"""Cleaning of catalogue rows, a block at a time."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from semconv.artifacts.corpus import ITEMS
from semconv.corpus.ids import MISSING, clean_ids
from semconv.corpus.layouts import Layout
from semconv.corpus.lines import parse_line
from semconv.corpus.source import Source
from semconv.corpus.text import flatten_text, split_categories

CLEANED_ITEMS = pa.schema(
    [*ITEMS, ("reason", pa.string()), ("line", pa.int64()), ("row", pa.string()), ("unknown", pa.list_(pa.string()))]
)
_ROW_TEXT = 1000


@dataclass(frozen=True)
class ItemCleaner:
    """Cleans the blocks of catalogue files."""

    layout: Layout
    require_text: bool

    def __call__(self, raw: pa.Table, source: Source) -> pa.Table:
        """One row for each row of ``raw``, in order, schema `CLEANED_ITEMS`.

        ``reason`` is null where the row is kept; ``line`` and ``row`` are set where it is not. ``unknown`` names the
        fields of the row that semconv has no use for.
        """
        known = set(source.columns.values())
        unknown = [name for name in source.names if name not in known]
        rows = []
        for raw_row in raw.to_pylist():
            if "text" in raw_row:
                record = parse_line(raw_row["text"], source.format, source.names)
                fields = {} if record is None else {ours: record.get(theirs) for ours, theirs in source.columns.items()}
                extra = [] if record is None else [str(name) for name in record if name not in known]
                reason, shown = (None if record is not None else "unreadable line"), raw_row["text"]
            else:
                fields, extra = raw_row, unknown
                reason = None if raw_row["broken"] is None else "wrong number of fields"
                shown = raw_row["broken"]
            rows.append(self._row(fields, reason, shown, raw_row["line"], extra))
        table = pa.Table.from_pylist(rows, schema=CLEANED_ITEMS)
        return table.set_column(0, "item_id", clean_ids(table["item_id"].combine_chunks()).cast(pa.string()))

    def _row(
        self, fields: Mapping[str, Any], reason: str | None, shown: str | None, line: int, unknown: list[str]
    ) -> dict[str, Any]:
        item_id = fields.get("item_id")
        title = flatten_text(fields.get("title"))
        if reason is None and (item_id is None or str(item_id).strip() in MISSING):
            reason = "missing item id"
        if reason is None and self.require_text and title is None:
            reason = "no text"
        row: dict[str, Any] = {
            "item_id": None if item_id is None else str(item_id),
            "title": title,
            "brand": flatten_text(fields.get("brand")),
            "description": flatten_text(fields.get("description")),
            "categories": split_categories(fields.get("categories"), self.layout.category_separator),
            "reason": reason,
            "unknown": unknown,
        }
        if reason is not None:
            text = shown if shown is not None else json.dumps(dict(fields), default=str)
            row |= {"line": line, "row": text[:_ROW_TEXT]}
        return row

"""The catalogue: items in the order of their files, then those only the log knows, by first appearance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from semconv.artifacts.corpus import ITEMS
from semconv.artifacts.ragged import Int32
from semconv.corpus.accounting import Ledger
from semconv.corpus.gather import Cleaned, Gathered
from semconv.corpus.write import Quarantine

REPEATED = "repeated item id"


@dataclass
class Catalogue:
    """``table`` has schema `ITEMS`; its first ``from_rows`` rows come from input rows. ``unknown`` counts fields."""

    table: pa.Table
    from_rows: int
    unknown: Counter[str]

    def index_of(self, item_ids: pa.Array, *, extend: bool) -> Int32:
        """Item index, int32, of every id; ids the catalogue lacks are added without text, or get -1."""
        index = pc.index_in(item_ids, value_set=self.table["item_id"].combine_chunks())
        positions: Int32 = pc.fill_null(index, -1).to_numpy(zero_copy_only=False).astype(np.int32)
        missing = np.flatnonzero(positions < 0)
        if extend and len(missing):
            positions[missing] = self.table.num_rows + np.arange(len(missing), dtype=np.int32)
            added = {"item_id": item_ids.take(pa.array(missing))}
            columns = [added.get(field.name, pa.nulls(len(missing), field.type)) for field in ITEMS]
            self.table = pa.concat_tables([self.table, pa.table(columns, schema=ITEMS)])
        return positions

    def take(self, keep: npt.NDArray[np.bool_]) -> Catalogue:
        """The items that the mask names."""
        return replace(self, table=self.table.filter(pa.array(keep)), from_rows=int(keep[: self.from_rows].sum()))


def gather_items(blocks: Iterable[Cleaned], ledger: Ledger, quarantine: Quarantine) -> Catalogue:
    """Bring blocks of `ItemCleaner` together; of rows with the same id the first stays."""
    kept = [ITEMS.empty_table()]
    unknown: Counter[str] = Counter()
    for source, block, _ in blocks:
        ledger.rows += block.num_rows
        for field in pc.value_counts(pc.list_flatten(block["unknown"])).to_pylist():
            unknown[field["values"]] += field["counts"]
        refused = block.filter(pc.is_valid(block["reason"]))
        for reason in refused["reason"].to_pylist():
            ledger.quarantine(reason, 1)
        quarantine.add(source, refused["line"], refused["reason"].to_pylist(), refused["row"])
        kept.append(block.filter(pc.is_null(block["reason"])).select(ITEMS.names))
    table = pa.concat_tables(kept).combine_chunks()
    codes = pc.index_in(table["item_id"], value_set=pc.unique(table["item_id"])).to_numpy()
    first = np.zeros(table.num_rows, bool)
    first[np.unique(codes, return_index=True)[1]] = True
    ledger.filter(REPEATED, int((~first).sum()))
    if not first.all():
        table = table.filter(pa.array(first))
    return Catalogue(table, table.num_rows, unknown)


def derive_catalogue(gathered: Gathered, ledger: Ledger, quarantine: Quarantine, *, require_text: bool) -> Catalogue:
    """A catalogue of the items in the log, in order of first appearance, each with its most frequent title.

    Of titles that are equally frequent the first in alphabetical order is taken. Every item counts as a row in.
    """
    codes, titles = gathered.titles
    items = gathered.log.items
    counted = pa.table(
        {"item": items, "title": pa.DictionaryArray.from_arrays(pa.array(codes, mask=codes < 0), titles)}
    )
    pairs = counted.drop_null().group_by(["item", "title"]).aggregate([([], "count_all")])
    pairs = pairs.set_column(pairs.schema.get_field_index("title"), "title", pairs["title"].cast(pa.string()))
    pairs = pairs.sort_by([("item", "ascending"), ("count_all", "descending"), ("title", "ascending")])
    owners, first = np.unique(pairs["item"].to_numpy(), return_index=True)
    best: list[str | None] = [None] * len(gathered.item_ids)
    for owner, title in zip(owners, pairs["title"].take(pa.array(first)).to_pylist(), strict=True):
        best[owner] = title
    appeared = np.zeros(len(best), bool)
    appeared[items] = True
    wanted = np.array(
        [bool(seen and (title is not None or not require_text)) for seen, title in zip(appeared, best, strict=True)],
        bool,
    )
    ledger.rows += int(appeared.sum())
    refused = appeared & ~wanted
    ledger.quarantine("no text", int(refused.sum()))
    if refused.any():
        ids = gathered.item_ids.filter(pa.array(refused))
        quarantine.add("catalogue", pa.nulls(len(ids), pa.int64()), ["no text"] * len(ids), ids)
    columns = {"item_id": gathered.item_ids, "title": pa.array(best, pa.string())}
    table = pa.table(
        [columns.get(field.name, pa.nulls(len(best), field.type)) for field in ITEMS], schema=ITEMS
    ).filter(pa.array(wanted))
    return Catalogue(table, table.num_rows, Counter())

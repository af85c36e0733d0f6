"""Items that a catalogue has and a corpus does not, read and cleaned as ingest reads a catalogue."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from semconv.artifacts import Corpus
from semconv.config import CorpusSettings
from semconv.corpus.accounting import Ledger
from semconv.corpus.blocks import read_blocks
from semconv.corpus.catalogue import gather_items
from semconv.corpus.items import ItemCleaner
from semconv.corpus.reading import Piece, clean_here
from semconv.corpus.source import find_items, layout_of
from semconv.corpus.write import Quarantine
from semconv.errors import SettingError

KNOWN = "known item"


@dataclass(frozen=True)
class NewItems:
    """``table`` has schema `ITEMS`; ``rows`` says where every row of the catalogue went, ``quarantine`` holds some."""

    table: pa.Table
    rows: dict[str, Any]
    quarantine: Path


def read_new_items(settings: CorpusSettings, folder: str, corpus: Corpus, quarantine: Path) -> NewItems:
    """The items of the catalogue in ``folder`` whose ids the corpus lacks, in the catalogue's order.

    Refused rows are written to ``quarantine``, which must not be there. The built-in shop's catalogue has the native
    layout. Raises `InputError` as ingest does, and `SettingError` where the layout has no catalogue.
    """
    reader = "native" if settings.reader == "synthetic" else settings.reader
    chosen = settings.model_copy(update={"path": folder, "reader": reader})
    sources = find_items(chosen)
    if not sources:
        raise SettingError(
            f"night.items is set, and the layout {settings.reader} has no catalogue of its own",
            "Name its file as corpus.items, or leave night.items out",
        )
    pieces = tuple(Piece(source, partial(read_blocks, source)) for source in sources)
    ledger, refused = Ledger("items"), Quarantine(quarantine)
    cleaner = ItemCleaner(layout_of(chosen), settings.require_text)
    table = gather_items(clean_here(pieces, cleaner), ledger, refused).table
    refused.close()
    known = pc.is_in(table["item_id"], value_set=pa.array(corpus.item_ids, pa.string()))
    ledger.filter(KNOWN, pc.sum(known).as_py() or 0)
    table = table.filter(pc.invert(known)).combine_chunks()
    return NewItems(table, ledger.close(table.num_rows), quarantine)

"""What ingest reads, as pieces that can be read apart and in any order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path

import pyarrow as pa

from semconv.artifacts.manifest import digest, file_digest
from semconv.config import CorpusSettings, SyntheticSettings
from semconv.corpus import synthetic
from semconv.corpus.blocks import Block, read_blocks
from semconv.corpus.gather import Cleaned
from semconv.corpus.interactions import InteractionCleaner
from semconv.corpus.items import ItemCleaner
from semconv.corpus.layouts import INTERACTION_COLUMNS, ITEM_COLUMNS, NATIVE, Format, Layout
from semconv.corpus.source import Source, find_interactions, find_items, layout_of

ITEM_LINES_PER_BLOCK = 2**14

Clean = Callable[[pa.Table, Source], pa.Table]


@dataclass(frozen=True)
class Piece:
    """A file, or a part of the synthetic shop: ``read`` gives its rows as blocks, in order."""

    source: Source
    read: Callable[[], Iterator[Block]]


@dataclass(frozen=True)
class Input:
    """All of it. Without ``items`` the catalogue is derived; ``timed`` says that rows have times, not positions."""

    interactions: tuple[Piece, ...]
    items: tuple[Piece, ...]
    clean_interactions: InteractionCleaner
    clean_items: ItemCleaner
    timed: bool


def open_input(settings: CorpusSettings, seed: int) -> Input:
    """Find and check the input; raises `InputError` or `SettingError` where it is missing or does not fit."""
    if settings.reader == "synthetic":
        layout: Layout = NATIVE
        interactions, items = _shop_pieces(settings, seed)
    else:
        layout = layout_of(settings)
        interactions, items = (
            tuple(Piece(source, partial(read_blocks, source)) for source in found)
            for found in (find_interactions(settings), find_items(settings))
        )
    if settings.time_unit is not None:
        layout = replace(layout, time_unit=settings.time_unit)
    return Input(
        interactions,
        items,
        InteractionCleaner(layout, settings.min_rating, derive_items=not items),
        ItemCleaner(layout, settings.require_text),
        timed="timestamp" in interactions[0].source.columns,
    )


def input_fingerprints(settings: CorpusSettings) -> dict[str, str]:
    """Fingerprint of the content of the interaction files and of the item files; none for the synthetic shop."""
    if settings.reader == "synthetic":
        return {}
    found = {"raw interactions": find_interactions(settings), "raw items": find_items(settings)}
    return {
        name: digest([file_digest(Path(source.path)) for source in sources])
        for name, sources in found.items()
        if sources
    }


def clean_here(pieces: tuple[Piece, ...], clean: Clean) -> Iterator[Cleaned]:
    """Cleaned blocks of all pieces, in order; one after another in this process."""
    for number, piece in enumerate(pieces):
        for block in piece.read():
            yield Cleaned(piece.source.name, clean(block.rows, piece.source), (number + block.share) / len(pieces))


def _shop_pieces(settings: CorpusSettings, seed: int) -> tuple[tuple[Piece, ...], tuple[Piece, ...]]:
    shop = settings.synthetic
    rows = tuple(
        Piece(_made(f"synthetic purchases {chunk}", "csv", INTERACTION_COLUMNS), partial(_shop_rows, shop, seed, chunk))
        for chunk in range(synthetic.chunks(shop))
    )
    return rows, (Piece(_made("synthetic items", "jsonl", ITEM_COLUMNS), partial(_shop_items, shop, seed)),)


def _made(name: str, form: Format, columns: Mapping[str, str]) -> Source:
    used = {ours: theirs for ours, theirs in columns.items() if ours != "position"}
    return Source("", name, form, used, tuple(used.values()), header=True, delimiter=",", encoding="utf-8")


def _shop_rows(shop: SyntheticSettings, seed: int, chunk: int) -> Iterator[Block]:
    table = synthetic.interaction_block(shop, seed, chunk)
    lines = pa.array(range(1, table.num_rows + 1), pa.int64())
    broken = pa.nulls(table.num_rows, pa.string())
    yield Block(table.append_column("line", lines).append_column("broken", broken), 1.0)


def _shop_items(shop: SyntheticSettings, seed: int) -> Iterator[Block]:
    lines = enumerate(synthetic.item_lines(shop, seed), start=1)
    while block := list(islice(lines, ITEM_LINES_PER_BLOCK)):
        numbers, texts = zip(*block, strict=True)
        rows = pa.table({"text": pa.array(texts, pa.string()), "line": pa.array(numbers, pa.int64())})
        yield Block(rows, numbers[-1] / shop.items)

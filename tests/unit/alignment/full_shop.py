"""The tiny ring shop with everything a catalogue can say: brands, categories, descriptions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from semconv.alignment.builder import Builder, open_builder
from semconv.artifacts import Corpus, finish
from semconv.artifacts.corpus import ITEMS
from semconv.config import AlignSettings
from semconv.training.align import Inputs
from tests.unit.training.tiny_inputs import ITEM_COUNT, tiny_align, title_of, write_inputs

EVERYTHING = {"sequential": 1.0, "textual": 1.0, "query": 1.0, "negative": 1.0, "preference": 1.0}


def brand_of(item: int) -> str | None:
    return None if item % 5 == 4 else f"Maker{item % 5}"


def write_full_shop(root: Path, walks: list[list[int]] | None = None) -> Inputs:
    inputs = write_inputs(root, walks)
    items = [
        {
            "item_id": f"i{n}",
            "title": None if n == 3 else title_of(n),
            "brand": brand_of(n),
            "description": None if n % 4 else f"a fine {title_of(n)}",
            "categories": ["shop", f"shelf {n % 6}"],
        }
        for n in range(ITEM_COUNT)
    ]
    pq.write_table(pa.Table.from_pylist(items, schema=ITEMS), root / "corpus" / "items" / "part-0.parquet")
    finish(root / "corpus", "corpus", settings={}, inputs={}, counts={}, request="tiny", seconds=0)
    return replace(inputs, corpus=Corpus.open(root / "corpus"))


def align(spelling: str, **changed: object) -> AlignSettings:
    return tiny_align(spelling=spelling, **({"tasks": EVERYTHING} | changed))


def builder_of(inputs: Inputs, settings: AlignSettings, seed: int = 5) -> Builder:
    return open_builder(inputs.corpus, inputs.vectors, inputs.tokens, inputs.base, settings, seed)

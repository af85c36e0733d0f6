"""Ingest without a cluster: the library's own functions, one block after another."""

from __future__ import annotations

import gzip
import itertools
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

from semconv.artifacts import Corpus, finish
from semconv.config import CorpusSettings
from semconv.corpus.build import build_corpus
from semconv.corpus.reading import clean_here, open_input

Ingest = Callable[..., Corpus]
Shop = Callable[..., Path]


@pytest.fixture
def ingest(tmp_path: Path) -> Ingest:
    """Corpus of a folder or of the synthetic shop, by the given corpus settings; everything kept unless told."""
    numbers = itertools.count()

    def run(path: Path | None = None, *, seed: int = 17, **settings: Any) -> Corpus:
        chosen = CorpusSettings(**{"path": None if path is None else str(path), "k_core": 0, **settings})
        source = open_input(chosen, seed)
        folder = tmp_path / f"corpus-{next(numbers)}"
        folder.mkdir()
        counts = build_corpus(
            folder,
            chosen,
            interactions=clean_here(source.interactions, source.clean_interactions),
            items=clean_here(source.items, source.clean_items) if source.items else None,
            timed=source.timed,
        )
        finish(folder, "corpus", settings={}, inputs={}, counts=counts, request="", seconds=0)
        return Corpus.open(folder)

    return run


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """Writes a native shop: interaction rows under a header, items as dicts (by default those the rows name)."""
    numbers = itertools.count()

    def write(
        rows: Iterable[Sequence[object]],
        items: Iterable[dict[str, Any]] | None = None,
        header: str = "user_id,item_id,timestamp",
    ) -> Path:
        folder = tmp_path / f"shop-{next(numbers)}"
        folder.mkdir()
        rows = [[str(value) for value in row] for row in rows]
        if items is None:
            items = [{"item_id": item, "title": f"title {item}"} for item in dict.fromkeys(row[1] for row in rows)]
        text = "\n".join([header, *(",".join(row) for row in rows)]) + "\n"
        (folder / "interactions.csv.gz").write_bytes(gzip.compress(text.encode()))
        lines = "".join(json.dumps(item) + "\n" for item in items)
        (folder / "items.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
        return folder

    return write


@pytest.fixture
def histories() -> Callable[[Corpus], dict[str, list[str]]]:
    """A corpus as item ids by user id."""

    def read(corpus: Corpus) -> dict[str, list[str]]:
        names = corpus.item_ids
        return {
            user: [names[item] for item in row] for user, row in zip(corpus.user_ids, corpus.sequences, strict=True)
        }

    return read

"""A tiny shop whose users walk a ring of items, as finished artifacts, with a tiny base model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from safetensors.torch import save_file

from semconv.artifacts import BaseModel, Corpus, ItemTokens, ItemVectors, finish
from semconv.artifacts.corpus import ITEMS, SEQUENCES
from semconv.config import AlignSettings, BaseSettings
from semconv.llm.small import small_model, train_tokenizer
from semconv.training.align import Inputs

ITEM_COUNT, LEVELS, CODES = 40, 3, 4
WORDS = ("red", "blue", "soap", "cream", "brush", "oil", "night", "day")
BASE = BaseSettings(width=32, layers=1, heads=2, feed_forward=64, vocab_size=300, context=128)


def title_of(item: int) -> str:
    return " ".join(WORDS[(item // step) % len(WORDS)] for step in (1, 3, 5)) + f" {item}"


def ring_walks(users: int = 60, seed: int = 0) -> list[list[int]]:
    random = np.random.default_rng(seed)
    starts, lengths = random.integers(ITEM_COUNT, size=users), random.integers(4, 12, size=users)
    return [[int((begin + place) % ITEM_COUNT) for place in range(n)] for begin, n in zip(starts, lengths, strict=True)]


def write_corpus(folder: Path, walks: list[list[int]], titles: list[str | None] | None = None) -> Corpus:
    titles = titles or [title_of(item) for item in range(ITEM_COUNT)]
    for name in ("items", "sequences"):
        (folder / name).mkdir(parents=True)
    items = [
        {"item_id": f"i{n}", "title": title, "brand": None, "description": None, "categories": None}
        for n, title in enumerate(titles)
    ]
    users = [
        {"user_id": f"u{n}", "items": walk, "times": None, "train_end": len(walk) - 2, "valid_end": len(walk) - 1}
        for n, walk in enumerate(walks)
    ]
    pq.write_table(pa.Table.from_pylist(items, schema=ITEMS), folder / "items" / "part-0.parquet")
    pq.write_table(pa.Table.from_pylist(users, schema=SEQUENCES), folder / "sequences" / "part-0.parquet")
    _finish(folder, "corpus", {"corpus": {}})
    return Corpus.open(folder)


def write_inputs(root: Path, walks: list[list[int]] | None = None, titles: list[str | None] | None = None) -> Inputs:
    corpus = write_corpus(root / "corpus", walks or ring_walks(), titles)
    generator = torch.Generator().manual_seed(1)
    (root / "vectors").mkdir()
    known = torch.arange(ITEM_COUNT) % 7 != 0
    ItemVectors.write(
        root / "vectors",
        text=torch.randn(ITEM_COUNT, 8, generator=generator),
        behaviour=torch.randn(ITEM_COUNT, 6, generator=generator) * known[:, None],
        has_text=torch.ones(ITEM_COUNT, dtype=torch.bool),
        has_behaviour=known,
    )
    _finish(root / "vectors", "vectors", {"embed": {}})
    (root / "tokens").mkdir()
    codes = np.stack([np.arange(ITEM_COUNT) // CODES**level % CODES for level in range(LEVELS)], axis=1)
    columns = {f"code_{level}": codes[:, level].astype(np.int32) for level in range(LEVELS)}
    pq.write_table(pa.table({"item_id": corpus.item_ids, **columns}), root / "tokens" / "codes.parquet")
    save_file({"codebooks": torch.zeros(LEVELS, CODES, 2)}, root / "tokens" / "quantizer.safetensors")
    _finish(root / "tokens", "tokens", {"tokenize": {"levels": LEVELS, "codes": CODES}})
    tokenizer = train_tokenizer([title_of(item) for item in range(ITEM_COUNT)], BASE.vocab_size)
    small_model(BASE, tokenizer, 3).save_pretrained(root / "base")
    tokenizer.save_pretrained(root / "base")
    _finish(root / "base", "base", {"base": {}})
    return Inputs(
        corpus,
        ItemVectors.open(root / "vectors"),
        ItemTokens.open(root / "tokens"),
        BaseModel.open(root / "base"),
    )


def tiny_align(**changed: object) -> AlignSettings:
    plain: dict[str, object] = {
        "engine": "plain",
        "precision": "float32",
        "max_history": 12,
        "batch_size": 16,
        "epochs": 4,
        "validate_every": 2,
        "learning_rate": 3e-3,
        "dropout": 0.1,
        "checkpoint_every": 3,
    }
    return AlignSettings(**(plain | changed))


def _finish(folder: Path, kind: str, settings: dict[str, object]) -> None:
    finish(folder, kind, settings=settings, inputs={}, counts={}, request="tiny", seconds=0)

"""A catalogue whose items lie in clear families, and users who stay in one; written by the real writers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from semconv.artifacts import Corpus, finish, staging
from semconv.artifacts.corpus import ITEMS, SEQUENCES

FAMILIES, EACH, USERS = 6, 11, 80
N_ITEMS = FAMILIES * EACH
FAMILY = np.arange(N_ITEMS) // EACH
HOSTILE = '<script>alert("x")</script> | *bold*\n& more'


def make_corpus(path: Path) -> Corpus:
    rng = np.random.default_rng(5)
    items = [
        {
            "item_id": f"i{item}",
            "title": HOSTILE if item == 0 else f"thing {item}" if item % 7 else None,
            "categories": ["Shop", f"family {FAMILY[item]}"],
        }
        for item in range(N_ITEMS)
    ]
    rows = []
    for user in range(USERS):
        family = user % FAMILIES
        bought = (family * EACH + rng.integers(0, EACH, rng.integers(4, 9))).tolist()
        ends = {"train_end": len(bought) - 2, "valid_end": len(bought) - 1}
        rows.append({"user_id": f"u{user}", "items": bought, "times": None, **ends})
    return write_corpus(path, items, rows)


def write_corpus(path: Path, items: list[dict[str, Any]], rows: list[dict[str, Any]]) -> Corpus:
    with staging(path) as folder:
        for name, table in (
            ("items", pa.Table.from_pylist(items, schema=ITEMS)),
            ("sequences", pa.Table.from_pylist(rows, schema=SEQUENCES)),
        ):
            (folder / name).mkdir()
            pq.write_table(table, folder / name / "part-0.parquet")
        finish(folder, "corpus", settings={}, inputs={}, counts={}, request="r", seconds=0.0)
    return Corpus.open(path)


def family_vectors(width: int = 8, spread: float = 0.1, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(FAMILIES, width, generator=generator)
    return centres[torch.from_numpy(FAMILY)] + spread * torch.randn(N_ITEMS, width, generator=generator)

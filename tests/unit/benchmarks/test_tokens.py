"""The benchmark of code indexes, whole, on a run of tiny artifacts; and its synthetic vectors."""

from __future__ import annotations

import argparse
import gzip
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from benchmarks.token_scale import COPIES, one_size, synthetic_vectors, with_copies
from benchmarks.tokens import compare
from semconv.artifacts import BaseModel, Corpus, ItemTokens, ItemVectors, finish, staging
from semconv.artifacts.corpus import ITEMS, SEQUENCES
from semconv.config import BaseSettings, TokenizeSettings, determining
from semconv.errors import ArtifactError, SettingError
from semconv.llm.small import small_model, train_tokenizer
from semconv.tokens.tokenizer import tokenize_items

N_ITEMS, FAMILIES, USERS = 60, 5, 40
FAMILY = torch.arange(N_ITEMS) % FAMILIES


def publish(run: Path, kind: str, write: Callable[[Path], None], settings: dict[str, object] | None = None) -> Path:
    with staging(run / kind) as folder:
        write(folder)
        finish(folder, kind, settings=settings or {}, inputs={}, counts={}, request="r", seconds=0.0)
    return run / kind


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("runs") / "tiny")


def make_run(folder: Path, n_items: int = N_ITEMS, **changed: object) -> Path:
    """Items of five families, told apart by both modalities; random small language model."""
    random, generator = np.random.default_rng(0), torch.Generator().manual_seed(0)
    items = [{"item_id": f"i{n}", "title": f"thing {n}", "categories": [f"f{n % FAMILIES}"]} for n in range(n_items)]
    rows = [
        {"user_id": f"u{n}", "items": bought.tolist(), "times": None, "train_end": 4, "valid_end": 5}
        for n in range(USERS)
        for bought in [(random.integers(0, N_ITEMS // FAMILIES, 6) * FAMILIES + n % FAMILIES) % n_items]
    ]

    def write_corpus(path: Path) -> None:
        for name, table in (
            ("items", pa.Table.from_pylist(items, schema=ITEMS)),
            ("sequences", pa.Table.from_pylist(rows, schema=SEQUENCES)),
        ):
            (path / name).mkdir()
            pq.write_table(table, path / name / "part-0.parquet")

    def near_family(width: int) -> torch.Tensor:
        centres = 5 * torch.randn(FAMILIES, width, generator=generator)
        return centres[FAMILY[:n_items]] + 0.2 * torch.randn(n_items, width, generator=generator)

    everything = torch.ones(n_items, dtype=torch.bool)
    text, behaviour = near_family(8), near_family(6)

    def write_base(path: Path) -> None:
        tokenizer = train_tokenizer(["thing one", "thing two"], 300)
        settings = BaseSettings(width=16, layers=1, heads=2, feed_forward=24, context=128)
        small_model(settings, tokenizer, 5).save_pretrained(path)
        tokenizer.save_pretrained(path)

    publish(folder, "corpus", write_corpus)
    publish(
        folder,
        "vectors",
        lambda path: ItemVectors.write(
            path, text=text, behaviour=behaviour, has_text=everything, has_behaviour=everything.clone()
        ),
    )
    publish(folder, "base", write_base)
    plain = {"levels": 2, "codes": 16, "text_components": 3, "behaviour_components": 3, "iterations": 8}
    plain |= {"first_behaviour_factor": 1.0, "align_weight": 0.0}
    settings = TokenizeSettings(**(plain | changed))
    vectors, corpus = ItemVectors.open(folder / "vectors"), Corpus.open(folder / "corpus")
    tokenized = tokenize_items(vectors, settings, seed=1)
    publish(
        folder,
        "tokens",
        lambda path: tokenized.write(path, corpus.item_ids),
        {"tokenize": determining(settings)},
    )
    BaseModel.open(folder / "base")
    return folder


def index(folder: Path, name: str, seed: int) -> Path:
    codes = np.random.default_rng(seed).integers(0, 16, (N_ITEMS, 3))
    lines = ["item_id,code_0,code_1,code_2", *(f"i{n},{','.join(map(str, row))}" for n, row in enumerate(codes))]
    path = folder / f"{name}.csv.gz"
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    return path


def options(run: Path, indexes: list[Path], **others: object) -> argparse.Namespace:
    chosen = {
        "steps": 3,
        "seeds": 2,
        "users": 30,
        "workers": 1,
        "quick": False,
        "report": None,
        "codes": None,
        **others,
    }
    return argparse.Namespace(run=run, index=indexes, **chosen)


def test_every_index_gets_every_figure_and_the_same_twice(run: Path, tmp_path: Path) -> None:
    asked = options(run, [index(tmp_path, "theirs", 1)], report=tmp_path / "report")
    results = compare(asked)
    assert list(results) == ["ours", "theirs"]
    assert set(results["ours"]) - set(results["theirs"]) == {"cold_first_code", "cold_items"}
    assert list(results["theirs"]["usage"]) == ["1", "2", "3"]
    assert len(results["theirs"]["compact_ndcg@10_by_seed"]) == 2
    assert 0 < results["ours"]["compact_ndcg@10"] <= 1
    assert results["ours"]["neighbours_text"] > results["theirs"]["neighbours_text"]
    assert results["ours"]["next_prefix_information"] > results["theirs"]["next_prefix_information"]
    assert results["ours"]["collision_rate"] == 0
    assert compare(asked) == results
    assert {path.name for path in (tmp_path / "report").iterdir()} == {"indexes.json", "indexes.md", "indexes.html"}


def test_cold_items_fall_in_with_those_that_read_like_them(run: Path) -> None:
    """Codes of a level are more than families, so that not all do."""
    found = compare(options(run, [], steps=0))["ours"]
    assert found["cold_items"] == 6
    assert found["cold_first_code"] >= 0.5
    assert "compact_ndcg@10" not in found


def test_codes_that_read_no_text_have_no_cold_items(tmp_path: Path) -> None:
    found = compare(options(make_run(tmp_path / "blind", text_weight=0.0), [], steps=0))["ours"]
    assert found["collision_rate"] == 0
    assert not {"cold_first_code", "cold_items"} & set(found)


def test_a_catalogue_of_one_item_is_compared(tmp_path: Path) -> None:
    found = compare(options(make_run(tmp_path / "one", 1), [], steps=0, report=tmp_path))["ours"]
    assert found["unique_tuples"] == 1
    assert found["neighbours_text"] is found["neighbours_cooccurrence"] is None
    assert json.loads((tmp_path / "indexes.json").read_text())


def test_indexes_of_one_name_and_runs_without_tokens_are_refused(run: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="same name"):
        compare(options(run, [index(tmp_path, "ours", 1)]))
    with pytest.raises(ArtifactError, match="corpus"):
        compare(options(tmp_path, []))


def test_codes_of_the_run_are_read_from_its_artifact(run: Path) -> None:
    tokens = ItemTokens.open(run / "tokens")
    found = compare(options(run, [], steps=0))["ours"]
    assert found["unique_tuples"] == len(np.unique(tokens.codes, axis=0))
    assert json.loads((run / "tokens" / "quality.json").read_text())["collision_rate"] == found["collision_rate"]


def test_synthetic_vectors_are_the_same_every_time_and_lie_in_clusters() -> None:
    vectors = synthetic_vectors(300)
    assert vectors.shape == (300, 256)
    assert torch.equal(vectors, synthetic_vectors(300))
    spread = vectors.square().mean(dim=0)
    assert spread[:8].mean() > 10 * spread[-8:].mean()


def test_a_size_is_measured_with_and_without_copies() -> None:
    """Copies are what collides here: of 1,200 items 500, 100 and 600 of their own."""
    plain, copied = one_size(1200), one_size(1200, duplicates=True)
    assert plain.keys() == copied.keys() >= {"items", "fit", "encode", "collisions", "seconds"}
    assert plain["collision_rate"] == copied["collision_rate"] == 0
    assert plain["collision_rate_before"] < 0.5 <= copied["collision_rate_before"]
    assert copied["reassigned"] >= 600 - 2 > plain["reassigned"]


def test_copies_are_half_of_the_items() -> None:
    vectors = synthetic_vectors(2400)
    copied = with_copies(vectors.clone())
    assert torch.equal(copied[1200:], vectors[1200:])
    distinct, times = torch.unique(copied, dim=0, return_counts=True)
    assert sorted(times.tolist(), reverse=True)[:4] == [COPIES, COPIES, 200, 1]
    assert len(distinct) == 1200 + 3

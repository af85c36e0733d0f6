"""A level more than the quantizer has, from tokens to what an aligned model recommends."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from benchmarks.compact_training import as_tokens
from semconv.artifacts import ItemTokens, finish
from semconv.artifacts.tokens import write_codes
from semconv.llm.search import beam_search
from semconv.llm.trie import Trie
from semconv.tokens.collisions import resolve_collisions
from semconv.tokens.contrast import PROJECTION, projected_codes
from semconv.tokens.index import CodeIndex
from semconv.tokens.residual_kmeans import ResidualKMeans
from semconv.training.align import Inputs, alignment
from semconv.training.job import make_engine, run_job
from tests.unit.training.tiny_inputs import BASE, CODES, ITEM_COUNT, tiny_align, write_inputs


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    """The ring shop under two levels of codes and one that numbers the items of a pair."""
    root = tmp_path_factory.mktemp("shop")
    plain = write_inputs(root)
    generator = torch.Generator().manual_seed(4)
    quantizer = ResidualKMeans(torch.randn(2, CODES, 5, generator=generator))
    vectors = torch.randn(ITEM_COUNT, 5, generator=generator)
    codes = resolve_collisions(quantizer, vectors, quantizer.encode(vectors), "extra")
    folder = root / "extra"
    folder.mkdir()
    write_codes(folder / "codes.parquet", plain.corpus.item_ids, codes.numpy())
    projection = torch.randn(5, BASE.width, generator=generator)
    save_file({**quantizer.tensors(), PROJECTION: projection}, folder / "quantizer.safetensors")
    settings = {"tokenize": {"levels": 2, "codes": CODES, "collisions": "extra"}}
    finish(folder, "tokens", settings=settings, inputs={}, counts={}, request="tiny", seconds=0)
    return replace(plain, tokens=ItemTokens.open(folder))


@pytest.mark.parametrize("spelling", ["compact", "tokens"])
def test_either_spelling_trains_and_recommends_every_item(inputs: Inputs, spelling: str) -> None:
    tokens = inputs.tokens
    assert (tokens.levels, tokens.quantizer["codebooks"].shape[0]) == (3, 2)
    job = alignment(inputs, tiny_align(spelling=spelling, epochs=1, validate_every=1), seed=5)
    engine = make_engine(job)
    assert "recall@10" in run_job(job, engine).curves[-1]
    if spelling == "compact":
        trie = Trie.build(tokens.codes, tokens.codes_per_level)
        with engine.evaluating() as model:
            history = np.asarray([5, 6], np.int32)
            found = beam_search(model, trie, [history], k=ITEM_COUNT, beams=ITEM_COUNT)
        assert sorted(found.items[0].tolist()) == list(range(ITEM_COUNT))


def test_rows_of_the_extra_level_start_apart_from_the_projected_ones(inputs: Inputs) -> None:
    meanings = projected_codes(inputs.tokens.quantizer)
    assert meanings is not None
    assert meanings.shape == (2, CODES, BASE.width)
    model = alignment(inputs, tiny_align(spelling="tokens"), seed=5).build().model
    table = model.get_input_embeddings().weight.detach()
    rows = table[-3 * CODES :].view(3, CODES, BASE.width)
    towards = rows - table[: -3 * CODES].mean(0)
    torch.testing.assert_close(torch.cosine_similarity(towards[:2], meanings, dim=2), torch.ones(2, CODES))
    assert len(torch.unique(rows[2], dim=0)) == CODES


def test_the_benchmarks_take_such_an_index_as_any_other(inputs: Inputs, tmp_path: Path) -> None:
    tokens = as_tokens(CodeIndex("ours", inputs.tokens.codes, CODES), inputs.corpus, tmp_path / "ours")
    assert tokens.levels == 3
    assert tokens.codes.tolist() == inputs.tokens.codes.tolist()

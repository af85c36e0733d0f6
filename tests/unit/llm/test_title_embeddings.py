"""What a base model makes of titles."""

from __future__ import annotations

from pathlib import Path

import torch

from semconv.artifacts import BaseModel, finish, staging
from semconv.config import BaseSettings
from semconv.llm.small import small_model, train_tokenizer
from semconv.llm.title_embeddings import title_embeddings

BASE = BaseSettings(width=16, layers=1, heads=2, feed_forward=16, vocab_size=300, context=64)


def saved(folder: Path) -> BaseModel:
    tokenizer = train_tokenizer(["soap and cream", "night oil"], BASE.vocab_size)
    with staging(folder) as inside:
        small_model(BASE, tokenizer, 0).save_pretrained(inside)
        tokenizer.save_pretrained(inside)
        finish(inside, "base", settings={}, inputs={}, counts={}, request="", seconds=0)
    return BaseModel.open(folder)


def test_a_title_is_the_mean_of_its_tokens_rows(tmp_path: Path) -> None:
    vectors, has = title_embeddings(saved(tmp_path / "base"), ["soap", None, "soap soap", "", "night oil"])
    assert has.tolist() == [True, False, True, False, True]
    assert vectors.shape == (5, 16)
    assert vectors[~has].abs().max() == 0
    assert torch.cosine_similarity(vectors[0], vectors[2], dim=0) > torch.cosine_similarity(
        vectors[0], vectors[4], dim=0
    )


def test_a_catalogue_without_titles_has_no_embeddings(tmp_path: Path) -> None:
    vectors, has = title_embeddings(saved(tmp_path / "base"), [None, ""])
    assert not has.any()
    assert vectors.tolist() == [[0.0] * 16] * 2

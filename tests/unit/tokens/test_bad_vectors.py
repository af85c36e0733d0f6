"""Whole tokenizing of vectors nobody would wish for: it works, or it is one clear error."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from semconv.artifacts import ItemVectors, finish, staging
from semconv.config import RqVaeSettings, TokenizeSettings
from semconv.errors import ArtifactError
from semconv.tokens.contrast import Target
from semconv.tokens.tokenizer import Tokenized, tokenize_items
from tests.unit.tokens.planted import noise

RQVAE = RqVaeSettings(width=6, hidden=(8,), steps=15, batch_size=64)
SETTINGS = TokenizeSettings(
    levels=3, codes=16, text_components=6, behaviour_components=6, iterations=5, rqvae=RQVAE, align_steps=5
)
either = pytest.mark.parametrize("quantizer", ["residual_kmeans", "rqvae"])


def tokenized(path: Path, text: torch.Tensor, behaviour: torch.Tensor, quantizer: str, **changed: object) -> Tokenized:
    everyone = torch.ones(len(text), dtype=torch.bool)
    with staging(path / "vectors") as folder:
        ItemVectors.write(folder, text=text, behaviour=behaviour, has_text=everyone, has_behaviour=everyone.clone())
        finish(folder, "vectors", settings={}, inputs={}, counts={}, request="", seconds=0)
    settings = SETTINGS.model_copy(update={"quantizer": quantizer, **changed})
    words = Target.of("title", noise(len(text), 7, seed=5), everyone)
    return tokenize_items(ItemVectors.open(path / "vectors"), settings, seed=1, words=words)


def check(found: Tokenized, items: int, levels: int = 3, codes: int = 16) -> None:
    assert found.codes_NL.shape == (items, levels)
    assert int(found.codes_NL.min()) >= 0
    assert int(found.codes_NL.max()) < codes
    assert found.quality["unique_tuples"] == items
    assert all(bool(torch.isfinite(tensor).all()) for tensor in found.tokenizer.quantizer.tensors().values())
    assert found.tokenizer.projection_ZE is not None
    assert bool(torch.isfinite(found.tokenizer.projection_ZE).all())


@either
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_values_that_are_no_numbers_are_named(tmp_path: Path, quantizer: str, value: float) -> None:
    behaviour = noise(40, 5)
    behaviour[[7, 9], 2] = value
    with pytest.raises(ArtifactError, match="behaviour vectors of 2 items hold NaN or infinity, item 7 first"):
        tokenized(tmp_path, noise(40, 6), behaviour, quantizer)


@either
def test_constant_vectors(tmp_path: Path, quantizer: str) -> None:
    check(tokenized(tmp_path, torch.full((300, 6), 0.1), torch.ones(300, 5), quantizer), 300)


@either
def test_one_modality_constant_leaves_the_other_to_speak(tmp_path: Path, quantizer: str) -> None:
    found = tokenized(tmp_path, torch.full((300, 6), 0.1), noise(300, 5), quantizer)
    check(found, 300)
    assert found.quality["perplexity"][0] > 8


@either
def test_all_zero_vectors(tmp_path: Path, quantizer: str) -> None:
    check(tokenized(tmp_path, torch.zeros(50, 6), torch.zeros(50, 5), quantizer), 50)


@either
@pytest.mark.parametrize("items", [1, 2, 10])
def test_fewer_items_than_codes(tmp_path: Path, quantizer: str, items: int) -> None:
    check(tokenized(tmp_path, noise(items, 6), noise(items, 5), quantizer), items)


@either
def test_thousands_of_duplicates(tmp_path: Path, quantizer: str) -> None:
    """Of 4096 tuples 3000 go to items of which two thousand are one and the same vector."""
    text, behaviour = noise(3000, 6), noise(3000, 5, seed=2)
    text[500:2500], behaviour[500:2500] = text[500], behaviour[500]
    check(tokenized(tmp_path, text, behaviour, quantizer), 3000)


@either
def test_more_items_than_tuples_fill_them_all(tmp_path: Path, quantizer: str) -> None:
    found = tokenized(tmp_path, noise(100, 6), noise(100, 5), quantizer, levels=2, codes=8)
    assert found.quality["unique_tuples"] == 64
    assert found.quality["collision_rate"] > 0


@either
@pytest.mark.parametrize("how", ["extra", "none"])
def test_other_resolvers_take_duplicates_too(tmp_path: Path, quantizer: str, how: str) -> None:
    text, behaviour = noise(60, 6), noise(60, 5, seed=2)
    text[:30], behaviour[:30] = text[0], behaviour[0]
    found = tokenized(tmp_path, text, behaviour, quantizer, collisions=how)
    assert found.codes_NL.shape == (60, 4 if how == "extra" else 3)
    sizes = torch.unique(found.codes_NL[:, :3], dim=0, return_counts=True)[1]
    assert int(sizes.max()) >= 15
    assert found.quality["unique_tuples"] == int(sizes.clamp(max=16 if how == "extra" else 1).sum())


@either
def test_parallel_codebooks_need_as_many_columns(tmp_path: Path, quantizer: str) -> None:
    """Constant vectors keep one column a modality."""
    with pytest.raises(ArtifactError, match=r"2 columns and tokenize.parallel is 3"):
        tokenized(tmp_path, torch.ones(20, 6), torch.ones(20, 5), quantizer, parallel=3)

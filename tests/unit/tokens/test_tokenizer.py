"""Items to tokens on disk, and the quality report that goes with them."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch

from semconv.artifacts import ItemTokens, ItemVectors, finish, staging
from semconv.config import RqVaeSettings, TokenizeSettings, determining
from semconv.tokens.contrast import Target, projected_codes
from semconv.tokens.quality import collision_rate, perplexity, unique_tuples, usage
from semconv.tokens.tokenizer import ItemTokenizer, modalities_of, tokenize_items

SETTINGS = TokenizeSettings(levels=3, codes=16, text_components=6, behaviour_components=6, iterations=8)


@pytest.fixture
def vectors(tmp_path: Path) -> ItemVectors:
    generator = torch.Generator().manual_seed(0)
    text, behaviour = (torch.randn(90, width, generator=generator) for width in (12, 8))
    has_behaviour = torch.arange(90) % 9 != 0
    text[80:] = text[80]
    with staging(tmp_path / "vectors") as folder:
        ItemVectors.write(
            folder,
            text=text,
            behaviour=behaviour * has_behaviour[:, None],
            has_text=torch.ones(90, dtype=torch.bool),
            has_behaviour=has_behaviour,
        )
        finish(folder, "vectors", settings={}, inputs={}, counts={}, request="", seconds=0)
    return ItemVectors.open(tmp_path / "vectors")


def test_codes_and_tokenizer_come_back_from_disk(vectors: ItemVectors, tmp_path: Path) -> None:
    tokenized = tokenize_items(vectors, SETTINGS, seed=3)
    with staging(tmp_path / "tokens") as folder:
        tokenized.write(folder, [f"i{i}" for i in range(90)])
        finish(
            folder,
            "tokens",
            settings={"tokenize": determining(SETTINGS)},
            inputs={"vectors": vectors},
            counts={},
            request="",
            seconds=0,
        )
    tokens = ItemTokens.open(tmp_path / "tokens")
    assert tokens.codes.tolist() == tokenized.codes_NL.tolist()
    assert tokens.quantizer["codebooks"].shape == (3, 16, 12)
    again = ItemTokenizer.open(tokens).encode(modalities_of(vectors, SETTINGS))
    moved = int((again != tokenized.codes_NL).any(dim=1).sum())
    assert moved == tokenized.quality["reassigned"] < 30
    assert json.loads((tokens.path / "quality.json").read_text()) == tokenized.quality


def test_every_item_has_a_tuple_of_its_own_and_the_seed_decides(vectors: ItemVectors) -> None:
    first, second = (tokenize_items(vectors, SETTINGS, seed=3) for _ in range(2))
    assert torch.equal(first.codes_NL, second.codes_NL)
    assert first.quality["unique_tuples"] == 90
    assert first.quality["collision_rate"] == 0
    assert first.quality["error"] >= first.quality["error_before"]
    assert first.quality["error_before"] == pytest.approx(first.quality["error_by_level"][-1])


def test_items_alike_in_both_modalities_are_alike_in_codes(vectors: ItemVectors) -> None:
    vectors.behaviour[80:] = vectors.behaviour[82]
    codes = tokenize_items(vectors, SETTINGS, seed=3).codes_NL
    assert len(torch.unique(codes[82:89, :2], dim=0)) == 1


def test_quality_figures_by_hand() -> None:
    codes = torch.tensor([[0, 1], [0, 1], [1, 1], [3, 0]])
    assert unique_tuples(codes) == 3
    assert collision_rate(codes) == 0.5
    assert usage(codes[:, 0], 4) == 0.75
    assert perplexity(codes[:, 0]) == pytest.approx(math.exp(1.5 * math.log(2)))
    assert perplexity(torch.arange(16)) == pytest.approx(16)


@pytest.mark.parametrize("quantizer", ["residual_kmeans", "rqvae"])
def test_either_quantizer_opens_from_its_artifact_with_its_projection(
    vectors: ItemVectors, tmp_path: Path, quantizer: str
) -> None:
    rqvae = RqVaeSettings(width=6, hidden=(16,), steps=20, batch_size=64, collaborative_weight=0.5)
    settings = SETTINGS.model_copy(update={"quantizer": quantizer, "rqvae": rqvae, "align_steps": 5})
    generator = torch.Generator().manual_seed(2)
    words = Target.of("title", torch.randn(90, 10, generator=generator), torch.arange(90) % 4 != 0)
    tokenized = tokenize_items(vectors, settings, seed=3, words=words)
    with staging(tmp_path / "tokens") as folder:
        tokenized.write(folder, [f"i{i}" for i in range(90)])
        chosen = {"tokenize": determining(settings)}
        finish(folder, "tokens", settings=chosen, inputs={}, counts={}, request="", seconds=0)
    tokens = ItemTokens.open(tmp_path / "tokens")
    opened = ItemTokenizer.open(tokens)
    modalities = modalities_of(vectors, settings)
    assert opened.name == quantizer
    assert torch.equal(opened.encode(modalities), tokenized.tokenizer.encode(modalities))
    rows = projected_codes(tokens.quantizer)
    assert rows is not None
    assert rows.shape == (3, 16, 10)
    assert len(torch.unique(tokenized.codes_NL, dim=0)) == 90


def test_the_pull_can_be_turned_off_and_an_untitled_catalogue_has_none(vectors: ItemVectors) -> None:
    words = Target(torch.zeros(90, 10), torch.zeros(90, dtype=torch.bool))
    assert tokenize_items(vectors, SETTINGS, seed=3, words=words).tokenizer.projection_ZE is None
    titled = Target.of("title", torch.eye(90), torch.ones(90, dtype=torch.bool))
    off = SETTINGS.model_copy(update={"align_weight": 0.0})
    assert tokenize_items(vectors, off, seed=3, words=titled).tokenizer.projection_ZE is None


def test_settings_that_change_nothing_ask_for_nothing() -> None:
    plain = determining(SETTINGS)
    other = SETTINGS.model_copy(update={"rqvae": RqVaeSettings(steps=7)})
    assert determining(other) == plain
    assert determining(other.model_copy(update={"quantizer": "rqvae"})) != plain
    with pytest.raises(ValueError, match=r"tokenize.levels \(4\) is no multiple of tokenize.parallel \(3\)"):
        TokenizeSettings(parallel=3)

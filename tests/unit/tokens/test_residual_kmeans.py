"""Residual k-means on the vectors that break k-means."""

from __future__ import annotations

import pytest
import torch

from semconv.errors import ArtifactError
from semconv.tokens.kmeans import assign, fit_kmeans, revive
from semconv.tokens.quality import perplexity
from semconv.tokens.residual_kmeans import ResidualKMeans
from tests.unit.tokens.planted import noise


def fit(vectors: torch.Tensor, levels: int = 3, codes: int = 8, seed: int = 1) -> ResidualKMeans:
    return ResidualKMeans.fit(vectors, levels=levels, codes=codes, iterations=10, seed=seed)


def test_clear_clusters_are_found() -> None:
    centres = noise(8, 16) * 10
    points = centres.repeat_interleave(50, dim=0) + noise(400, 16, seed=1)
    found = fit_kmeans(points, 8, iterations=20, generator=torch.Generator().manual_seed(0))
    assert torch.cdist(centres, found).min(dim=1).values.max() < 1.0


def test_codes_stay_alive_where_vectors_have_no_structure() -> None:
    vectors = noise(3000, 128)
    quantizer = fit(vectors, levels=3, codes=64)
    codes = quantizer.encode(vectors)
    assert min(perplexity(codes[:, level]) for level in range(3)) > 50


def test_every_level_brings_the_vectors_nearer() -> None:
    vectors = noise(500, 8)
    quantizer = fit(vectors, levels=4, codes=16)
    codes = quantizer.encode(vectors)
    errors = [
        float((vectors - ResidualKMeans(quantizer.codebooks[:level]).decode(codes[:, :level])).square().sum())
        for level in range(1, 5)
    ]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.2 * float(vectors.square().sum())


def test_costs_of_the_last_level_are_the_errors_of_decoding() -> None:
    vectors = noise(30, 5)
    quantizer = fit(vectors)
    codes = quantizer.encode(vectors)
    costs = quantizer.level_costs(vectors, codes, codes.shape[1] - 1)
    assert costs.argmin(dim=1).tolist() == codes[:, -1].tolist()
    for code in range(8):
        changed = codes.clone()
        changed[:, -1] = code
        errors = (vectors - quantizer.decode(changed)).square().sum(dim=1)
        torch.testing.assert_close(costs[:, code], errors, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("vectors", [noise(1, 4), noise(5, 4), noise(3, 4).repeat(7, 1), torch.zeros(20, 4)])
def test_fewer_distinct_items_than_codes_are_met_exactly(vectors: torch.Tensor) -> None:
    quantizer = fit(vectors)
    assert quantizer.codebooks.shape == (3, 8, 4)
    assert torch.isfinite(quantizer.codebooks).all()
    torch.testing.assert_close(quantizer.decode(quantizer.encode(vectors)), vectors, atol=1e-5, rtol=0)


def test_the_same_seed_gives_the_same_codes() -> None:
    vectors = noise(400, 6)
    assert torch.equal(fit(vectors).codebooks, fit(vectors).codebooks)
    assert not torch.equal(fit(vectors).codebooks, fit(vectors, seed=2).codebooks)


def test_nan_is_one_error() -> None:
    vectors = noise(10, 3)
    vectors[4, 0] = torch.nan
    with pytest.raises(ArtifactError, match="item 4 first"):
        fit(vectors)


def test_progress_reaches_its_end_or_less() -> None:
    heard: list[tuple[float, float, str]] = []
    ResidualKMeans.fit(noise(300, 4), levels=2, codes=8, iterations=3, seed=0, report=lambda *word: heard.append(word))
    assert heard[-1] == (6, 6, "level 2")


def test_codes_are_revived_among_thousands_of_duplicates() -> None:
    vectors = torch.cat([noise(12, 4).repeat(400, 1), 9 + noise(30, 4, seed=1)])
    stuck = torch.zeros(16, 4)
    revived = revive(vectors, stuck)
    nearest, errors = assign(vectors, revived)
    assert len(nearest.unique()) == 16
    assert errors.sum() < assign(vectors, stuck)[1].sum()
    assert torch.equal(stuck, torch.zeros(16, 4))


def test_columns_may_count_more_at_the_first_level_than_below() -> None:
    """One column tells eight groups apart, another, far louder, eight more: whichever counts gives the first code."""
    groups = torch.arange(64)
    quiet, loud = (groups % 8).float() - 3.5, 10.0 * ((groups // 8).float() - 3.5)
    vectors = torch.stack([quiet, loud], dim=1).repeat(5, 1) + 0.01 * noise(320, 2)
    scale = torch.tensor([1000.0, 1.0])
    for first, told in ((None, groups // 8), (scale, groups % 8)):
        quantizer = ResidualKMeans.fit(vectors, levels=2, codes=8, iterations=20, seed=0, first_D=first)
        codes = quantizer.encode(vectors)
        pairs = torch.stack([codes[:, 0], told.repeat(5)], dim=1)
        assert len(torch.unique(pairs, dim=0)) == 8
        assert (quantizer.decode(codes) - vectors).abs().max() < 0.1
        again = ResidualKMeans.of(quantizer.tensors())
        assert torch.equal(again.encode(vectors), codes)

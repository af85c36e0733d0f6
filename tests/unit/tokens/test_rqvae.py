"""RQ-VAE: it learns, it is frozen afterwards, and it takes the vectors that break quantizers."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from semconv.errors import ArtifactError
from semconv.tokens.quality import perplexity
from semconv.tokens.registry import open_quantizer
from semconv.tokens.residual_kmeans import ResidualKMeans
from semconv.tokens.rqvae_training import fit_rqvae
from tests.unit.tokens.planted import CASCADE, bent, error, fitted, noise, small


def test_training_starts_near_residual_kmeans_and_ends_below_it() -> None:
    vectors, unseen = (bent(width=32, inner=4, seed=seed) for seed in (0, 5))
    plain = ResidualKMeans.fit(vectors, levels=3, codes=16, iterations=10, seed=1)
    start = fitted(vectors, width=32, steps=0)
    assert error(start, vectors) == pytest.approx(error(plain, vectors), rel=0.1)
    trained = fitted(vectors, width=6, hidden=(128,), steps=800)
    assert error(trained, vectors) < 0.8 * error(plain, vectors)
    assert error(trained, unseen) < 0.9 * error(plain, unseen)


def test_every_code_is_used() -> None:
    crowd = torch.cat([0.05 * noise(900, 8), 3 * noise(100, 8, 1)])
    codes = fitted(crowd).encode(crowd)
    assert [len(codes[:, level].unique()) for level in range(3)] == [16, 16, 16]


def test_the_seed_decides() -> None:
    vectors = bent(300)
    first, again, other = (fitted(vectors, steps=30, seed=seed) for seed in (1, 1, 2))
    assert all(torch.equal(t, again.tensors()[name]) for name, t in first.tensors().items())
    assert not torch.equal(first.codebooks, other.codebooks)


def test_fitting_leaves_the_global_random_state_alone() -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    fitted(bent(100), steps=3)
    assert torch.equal(torch.get_rng_state(), before)


def test_items_unseen_are_encoded_like_those_beside_them() -> None:
    centres = 5 * noise(16, 8)
    seen, unseen = (centres.repeat_interleave(20, dim=0) + 0.05 * noise(320, 8, seed) for seed in (1, 2))
    quantizer = fitted(seen)
    assert (quantizer.encode(seen)[:, 0] == quantizer.encode(unseen)[:, 0]).all()


def test_it_comes_back_from_its_tensors(tmp_path: Path) -> None:
    vectors = bent(300)
    for even in (False, True):
        quantizer = fitted(vectors, replace(CASCADE, even=even), steps=20, hidden=(32, 24))
        file = tmp_path / "tensors"
        save_file(quantizer.tensors(), file)
        again = open_quantizer("rqvae", load_file(file))
        codes = quantizer.encode(vectors)
        assert torch.equal(again.encode(vectors), codes)
        assert torch.equal(again.decode(codes), quantizer.decode(codes))
        assert torch.equal(
            again.level_costs(vectors, codes, codes.shape[1] - 1),
            quantizer.level_costs(vectors, codes, codes.shape[1] - 1),
        )
    with pytest.raises(ArtifactError, match="'abacus', which is none of residual_kmeans, rqvae"):
        open_quantizer("abacus", {})


def test_costs_of_the_last_level_are_those_of_the_latent() -> None:
    vectors = bent(50)
    quantizer = fitted(vectors, steps=20)
    codes = quantizer.encode(vectors)
    costs = quantizer.level_costs(vectors, codes, codes.shape[1] - 1)
    assert torch.equal(costs.argmin(dim=1), codes[:, -1])
    distance = (quantizer.latents(vectors) - quantizer.cascade.decode(codes)).square().sum(dim=1)
    torch.testing.assert_close(costs.min(dim=1).values, distance, atol=1e-4, rtol=1e-3)


def test_first_levels_alone_say_less() -> None:
    vectors = bent(400)
    quantizer = fitted(vectors)
    codes = quantizer.encode(vectors)
    errors = [float((vectors - quantizer.decode(codes[:, :n])).square().sum()) for n in (1, 2, 3)]
    assert errors == sorted(errors, reverse=True)


@pytest.mark.parametrize(
    "vectors",
    [noise(1, 4), noise(5, 4), noise(3, 4).repeat(700, 1), torch.zeros(20, 4), torch.zeros(1, 1)],
    ids=["one", "few", "duplicates", "zeros", "narrow"],
)
def test_catalogues_with_nothing_to_learn_from_are_encoded(vectors: torch.Tensor) -> None:
    quantizer = fitted(vectors, steps=20)
    codes = quantizer.encode(vectors)
    assert quantizer.codebooks.shape[:2] == (3, 16)
    assert torch.isfinite(quantizer.codebooks).all()
    assert torch.isfinite(quantizer.decode(codes)).all()
    same = torch.cdist(vectors, vectors) == 0
    assert ((codes[:, None] == codes[None]).all(dim=2) | ~same).all()


def test_nan_is_one_error() -> None:
    vectors = noise(10, 3)
    vectors[4, 0] = torch.nan
    with pytest.raises(ArtifactError, match="item 4 first"):
        fitted(vectors)


def test_progress_reaches_its_end() -> None:
    heard: list[tuple[float, float, str]] = []
    fit_rqvae(bent(100), CASCADE, small(steps=5), seed=1, report=lambda *word: heard.append(word))
    assert heard[-1][:2] == (5, 5)
    assert "loss" in heard[-1][2]


@pytest.mark.parametrize("even", [False, True])
def test_parallel_codebooks_share_the_levels_and_add_up(even: bool) -> None:
    vectors = bent(600)
    cascade = replace(CASCADE, levels=4, parallel=2, even=even)
    quantizer = fitted(vectors, cascade)
    front, back = quantizer.codebooks[:2], quantizer.codebooks[2:]
    assert front[:, :, 4:].abs().max() == 0 == back[:, :, :4].abs().max()
    assert front[:, :, :4].abs().max() > 0 < back[:, :, 4:].abs().max()
    assert error(quantizer, vectors) < 0.3
    if even:
        assert perplexity(quantizer.encode(vectors)[:, 3]) > 15.5


def test_parallel_codebooks_of_residual_kmeans_each_see_their_own_columns() -> None:
    vectors = noise(500, 10)
    quantizer = ResidualKMeans.fit(vectors, levels=4, codes=16, iterations=8, seed=1, parallel=2)
    altered = torch.cat([vectors[:, :5], vectors.flip(0)[:, 5:]], dim=1)
    codes, other = quantizer.encode(vectors), quantizer.encode(altered)
    assert torch.equal(codes[:, :2], other[:, :2])
    assert not torch.equal(codes[:, 2:], other[:, 2:])
    costs = quantizer.level_costs(vectors, codes, codes.shape[1] - 1)
    assert torch.equal(costs.argmin(dim=1), codes[:, -1])
    missed = float((vectors - quantizer.decode(codes)).square().sum())
    assert math.isclose(float(costs.min(dim=1).values.sum()), missed, rel_tol=1e-4)


def test_more_codebooks_side_by_side_than_columns_is_one_clear_error() -> None:
    vectors = torch.zeros(20, 1)
    with pytest.raises(ArtifactError, match=r"have 1 columns and tokenize\.parallel is 2"):
        fitted(vectors, replace(CASCADE, levels=4, parallel=2))
    with pytest.raises(ArtifactError, match=r"have 1 columns and tokenize\.parallel is 2"):
        ResidualKMeans.fit(vectors, levels=4, codes=4, iterations=2, seed=0, parallel=2)

"""Each regulariser moves what it says it moves."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from semconv.errors import ArtifactError
from semconv.tokens import balance, residual_kmeans
from semconv.tokens.balance import SAMPLE, even_prices, sample_size
from semconv.tokens.contrast import PROJECTION, Target, fit_projection, info_nce, projected_codes
from semconv.tokens.diversity import diversity_loss, even_clusters
from semconv.tokens.kmeans import assign
from semconv.tokens.quality import perplexity
from semconv.tokens.residual_kmeans import ResidualKMeans
from semconv.tokens.rqvae import RqVae
from semconv.tokens.rqvae_training import Pull, fit_rqvae
from tests.unit.tokens.planted import CASCADE, error, fitted, neighbour_agreement, noise, small


def crowd() -> torch.Tensor:
    """Most items in one tight crowd, the rest far out: last levels are used very unevenly."""
    return torch.cat([0.3 * noise(500, 8), 3 * noise(100, 8, 1)])


def test_prices_spread_items_evenly_and_cost_little() -> None:
    costs = noise(640, 16).square() * torch.linspace(0.2, 2.0, 16)
    prices = even_prices(costs)
    sizes = torch.bincount((costs + prices).argmin(dim=1), minlength=16)
    assert sizes.min() >= 0.7 * 40
    assert sizes.max() <= 1.4 * 40
    assert torch.bincount(costs.argmin(dim=1), minlength=16).max() > 2 * 40
    assert prices.min() == 0
    assert torch.equal(even_prices(torch.zeros(5, 16)), torch.zeros(16))


def test_prices_of_many_codes_are_found_on_fewer_items(monkeypatch: pytest.MonkeyPatch) -> None:
    """Costs of 65,536 items under 65,536 codes would be 34 GiB."""
    assert sample_size(256) == sample_size(1024) == SAMPLE
    assert sample_size(65_536) * 65_536 * 8 == 2**29
    assert sample_size(2**40) == 1
    asked: list[torch.Size] = []

    def priced(costs_SC: torch.Tensor) -> torch.Tensor:
        asked.append(costs_SC.shape)
        return even_prices(costs_SC)

    monkeypatch.setattr(residual_kmeans, "even_prices", priced)
    monkeypatch.setattr(balance, "SAMPLE_BYTES", 8 * 16 * 40)
    ResidualKMeans.fit(crowd(), levels=2, codes=16, iterations=3, seed=1, even=True)
    assert asked == [(40, 16)]


def test_even_last_level_is_near_uniform_in_both_quantizers() -> None:
    vectors = crowd()
    for even in (False, True):
        cascade = replace(CASCADE, even=even)
        kmeans = ResidualKMeans.fit(vectors, levels=3, codes=16, iterations=10, seed=1, even=even)
        for quantizer in (kmeans, fitted(vectors, cascade)):
            codes = quantizer.encode(vectors)
            spread = perplexity(codes[:, -1])
            assert spread > 15.8 if even else spread < 12


def test_diversity_spreads_codes_that_crowd_and_raises_the_entropy_of_their_use() -> None:
    for seed in range(3):
        generator = torch.Generator().manual_seed(seed)
        items = torch.randn(400, 4, generator=generator)
        away = torch.tensor([2.0, 0.0, 0.0, 0.0])
        codebook = (away + 0.3 * torch.randn(16, 4, generator=generator)).requires_grad_()
        before = perplexity(assign(items, codebook.detach())[0])
        optimizer = torch.optim.Adam([codebook], lr=0.02)
        for step in range(200):
            if step % 50 == 0:
                clusters = even_clusters(codebook, 4, generator)
            loss = diversity_loss(codebook, assign(items, codebook.detach())[0], clusters, generator)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
        assert perplexity(assign(items, codebook.detach())[0]) > 1.3 * before
        assert torch.pdist(F.normalize(codebook.detach(), dim=1)).mean() > 1.0


def test_clusters_of_codes_are_even_and_fellows_are_never_the_code_itself() -> None:
    generator = torch.Generator().manual_seed(0)
    codebook = torch.cat([noise(40, 4), 9 + 0.1 * noise(24, 4, 1)])
    clusters = even_clusters(codebook, 4, generator)
    assert torch.bincount(clusters).min() >= 12
    assert torch.bincount(clusters).max() <= 20
    alone = diversity_loss(codebook.requires_grad_(), torch.tensor([0, 1]), torch.arange(64), generator)
    assert float(alone.detach()) == 0
    pairs = torch.arange(64) // 2
    for code in (0, 1, 17):
        apart = torch.zeros(64, 2)
        apart[code ^ 1] = apart[code] = torch.tensor([50.0, 0.0])
        assert float(diversity_loss(apart, torch.tensor([code]), pairs, generator)) < 1e-3


def test_diversity_draws_the_codes_of_an_rqvae_to_their_fellows() -> None:
    """By direction, every code comes to have another of its cluster near by."""
    vectors = crowd()
    nearest = []
    for weight in (1e-9, 1.0):
        quantizer = fitted(vectors, diversity_weight=weight, diversity_clusters=4)
        assert error(quantizer, vectors) < 0.4
        directions = F.normalize(quantizer.codebooks[-1], dim=1)
        apart = torch.cdist(directions, directions).fill_diagonal_(torch.inf)
        nearest.append(float(apart.min(dim=1).values.mean()))
    assert nearest[1] < 0.87 * nearest[0]


def two_sided(n: int = 600) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Vectors that say much of one thing and a little of behaviour; behaviour; and who has any."""
    behaviour = noise(n, 3, 5)
    return torch.cat([noise(n, 5, 6), 0.3 * behaviour], dim=1), behaviour, torch.arange(n) % 7 != 0


def in_latent(quantizer: RqVae, vectors: torch.Tensor) -> torch.Tensor:
    return quantizer.cascade.decode(quantizer.encode(vectors))


def test_collaborative_pull_raises_agreement_with_neighbours_by_behaviour() -> None:
    vectors, behaviour, has = two_sided()
    plain = fitted(vectors)
    pull = Pull(Target.of("behaviour", behaviour * has[:, None], has), 1.0, 0.1)
    pulled, heads = fit_rqvae(vectors, CASCADE, small(), seed=1, pulls={"behaviour": pull})
    before, after = (neighbour_agreement(in_latent(q, vectors)[has], behaviour[has]) for q in (plain, pulled))
    assert after > 1.5 * before
    assert heads["behaviour"].shape == (8, 3)


def test_projected_codes_lie_near_what_the_language_model_makes_of_the_items() -> None:
    topics = noise(16, 6)
    topic = torch.arange(640) % 16
    vectors = topics[topic] + 0.3 * noise(640, 6, 1)
    titles = noise(16, 24, 2)[topic] + 0.3 * noise(640, 24, 3) + 5.0
    has = torch.arange(640) % 10 != 0
    target = Target.of("title", titles * has[:, None], has)
    kmeans = ResidualKMeans.fit(vectors, levels=3, codes=16, iterations=10, seed=1)
    points = kmeans.decode(kmeans.encode(vectors))
    fitted_alone = fit_projection(points, target, temperature=0.1, steps=100, batch_size=256, seed=1)
    trained, heads = fit_rqvae(vectors, CASCADE, small(), seed=1, pulls={"llm": Pull(target, 1.0, 0.1)})
    for quantizer, projection in ((kmeans, fitted_alone), (trained, heads["llm"])):
        codes = quantizer.encode(vectors)
        rows = projected_codes({"codebooks": quantizer.codebooks, PROJECTION: projection})
        assert rows is not None
        said = torch.stack([rows[level][codes[:, level]] for level in range(3)]).sum(dim=0)
        cosines = F.cosine_similarity(said, target.vectors)[has]
        strangers = F.cosine_similarity(said, target.vectors[torch.arange(640).roll(5)])[has & has.roll(5)]
        assert cosines.mean() > 0.5
        assert cosines.mean() > strangers.mean() + 0.4
    assert projected_codes({"codebooks": kmeans.codebooks}) is None


def test_items_of_one_title_are_not_held_against_each_other() -> None:
    guesses, targets = noise(4, 3), noise(4, 3, 1)
    twins = targets[[0, 0, 2, 3]]
    assert float(info_nce(twins, twins, 0.01)) < 1e-3
    assert float(info_nce(guesses[:0], targets[:0], 0.5)) == 0
    assert float(info_nce(guesses[:1], targets[:1], 0.5)) == 0


def test_info_nce_is_the_cross_entropy_of_cosines() -> None:
    """By hand: of three targets at right angles, a guess of cosine c to its own and 0 to the others."""
    axes = torch.eye(3)
    for sign in (1.0, -1.0):
        by_hand = math.log(math.exp(sign / 0.5) + 2) - sign / 0.5
        assert float(info_nce(sign * 7 * axes, 2 * axes, 0.5)) == pytest.approx(by_hand, rel=1e-5)


def test_a_target_is_centred_unit_and_zero_where_there_is_none() -> None:
    raw, has = noise(50, 4) + 10, torch.arange(50) != 3
    target = Target.of("title", raw, has)
    torch.testing.assert_close(target.vectors.norm(dim=1), has.float())
    assert target.vectors[has].mean(dim=0).abs().max() < 0.4
    raw[7, 1] = torch.inf
    with pytest.raises(ArtifactError, match="title vectors"):
        Target.of("title", raw, has)


def test_a_projection_of_points_that_say_nothing_is_finite() -> None:
    target = Target.of("title", noise(20, 4), torch.ones(20) > 0)
    for points in (torch.zeros(20, 3), noise(1, 3).repeat(20, 1)):
        assert torch.isfinite(fit_projection(points, target, temperature=0.1, steps=5, batch_size=8, seed=0)).all()

"""Fusion: equal say for the modalities, and no artefact where one is missing."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from semconv.errors import ArtifactError
from semconv.tokens.fusion import Fusion, Modality
from semconv.tokens.guess import NEIGHBOURS


def pair(n: int = 400, missing: int = 50) -> tuple[dict[str, Modality], torch.Tensor]:
    """Two modalities that say the same five things in other words; the first items lack behaviour, the last text."""
    generator = torch.Generator().manual_seed(0)
    meaning = torch.randn(n, 5, generator=generator)
    text = meaning @ torch.randn(5, 12, generator=generator) + 3.0
    behaviour = 40.0 * meaning @ torch.randn(5, 7, generator=generator)
    has_text, has_behaviour = torch.ones(n, dtype=torch.bool), torch.ones(n, dtype=torch.bool)
    has_behaviour[:missing] = False
    has_text[n - missing :] = False
    modalities = {
        "text": Modality(text * has_text[:, None], has_text, 1.0),
        "behaviour": Modality(behaviour * has_behaviour[:, None], has_behaviour, 2.0),
    }
    return modalities, behaviour


def fitted(modalities: dict[str, Modality], components: int, whiten: float = 1.0) -> Fusion:
    return Fusion.fit({name: replace(m, components=components) for name, m in modalities.items()}, whiten)


def test_each_block_has_the_energy_of_its_weight_in_every_direction() -> None:
    modalities, _ = pair(missing=0)
    fused = fitted(modalities, 4)(modalities)
    assert fused.shape == (400, 8)
    torch.testing.assert_close(fused[:, :4].square().sum(dim=1).mean(), torch.tensor(1.0))
    torch.testing.assert_close(fused[:, 4:].square().sum(dim=1).mean(), torch.tensor(4.0))
    covariance = fused[:, 4:].T @ fused[:, 4:] / 400
    torch.testing.assert_close(covariance, torch.eye(4), atol=1e-4, rtol=0)


@pytest.mark.parametrize("whiten", [0.0, 0.5])
def test_less_whitening_leaves_the_components_their_share(whiten: float) -> None:
    modalities, _ = pair(missing=0)
    fused = fitted(modalities, 4, whiten)(modalities)
    whole = fitted(modalities, 4)(modalities)
    torch.testing.assert_close(fused[:, 4:].square().sum(dim=1).mean(), torch.tensor(4.0))
    kept = fused[:, :4].var(dim=0) / fused[:, :4].var(dim=0).sum()
    vectors = modalities["text"].vectors
    variances = torch.linalg.eigvalsh(torch.cov(vectors.T)).flip(0)[:4] ** (1.0 - whiten)
    torch.testing.assert_close(kept, variances / variances.sum(), atol=1e-3, rtol=0)
    torch.testing.assert_close(fused[:, 0] / fused[:, 0].norm(), whole[:, 0] / whole[:, 0].norm(), atol=1e-3, rtol=0)


def test_columns_carry_the_factor_of_their_modality() -> None:
    modalities, _ = pair(missing=0)
    assert fitted(modalities, 2).columns({"behaviour": 3.0}).tolist() == [1.0, 1.0, 3.0, 3.0]


def test_no_more_components_than_the_vectors_span() -> None:
    modalities, _ = pair(missing=0)
    assert fitted(modalities, 64)(modalities).shape == (400, 10)


def test_a_missing_modality_is_guessed_from_the_other() -> None:
    modalities, behaviour = pair()
    fusion = fitted(modalities, 5)
    fused = fusion(modalities)
    everything = torch.ones(400, dtype=torch.bool)
    truth = fusion({**modalities, "behaviour": Modality(behaviour, everything, 2.0)})
    guessed, known = fused[:50, 5:], truth[:50, 5:]
    assert (guessed - known).square().sum() < 0.5 * known.square().sum()
    text, behaviour_of = fused[:, :5], fused[:, 5:]
    likest = torch.nn.functional.cosine_similarity(text[7], text[50:350], dim=1).topk(NEIGHBOURS).indices
    torch.testing.assert_close(fused[7, 5:], behaviour_of[50 + likest].mean(dim=0))
    torch.testing.assert_close(fused[50:350], truth[50:350])


def test_what_stands_in_a_missing_row_is_never_read() -> None:
    modalities, _ = pair()
    fusion = fitted(modalities, 5)
    behaviour = modalities["behaviour"]
    noisy = behaviour.vectors.clone()
    noisy[:50] = 1e3
    altered = {**modalities, "behaviour": Modality(noisy, behaviour.has, 2.0)}
    torch.testing.assert_close(fusion(altered), fusion(modalities))
    torch.testing.assert_close(fitted(altered, 5)(altered), fusion(modalities))


def test_an_item_of_which_nothing_is_known_stands_at_the_mean() -> None:
    modalities, _ = pair(missing=0)
    nobody = torch.ones(400, dtype=torch.bool)
    nobody[7] = False
    modalities = {name: Modality(m.vectors * nobody[:, None], nobody, m.weight) for name, m in modalities.items()}
    assert fitted(modalities, 5)(modalities)[7].abs().max() == 0


def test_a_modality_that_nothing_has_or_that_weighs_nothing_is_left_out() -> None:
    modalities, _ = pair(missing=0)
    absent = Modality(torch.zeros(400, 7), torch.zeros(400, dtype=torch.bool), 1.0)
    for other in (absent, Modality(modalities["behaviour"].vectors, modalities["behaviour"].has, 0.0)):
        mixed = {"text": modalities["text"], "behaviour": other}
        assert fitted(mixed, 5)(mixed).shape == (400, 5)
    with pytest.raises(ArtifactError, match="No item has a vector"):
        fitted({"behaviour": absent}, 5)


def test_it_comes_back_from_its_tensors() -> None:
    modalities, _ = pair()
    fusion = fitted(modalities, 5)
    torch.testing.assert_close(Fusion.of(fusion.tensors())(modalities), fusion(modalities))
    without = {name: tensor for name, tensor in fusion.tensors().items() if not name.endswith("references")}
    with pytest.raises(ArtifactError, match="earlier version"):
        Fusion.of(without)


def test_nan_is_one_error_that_names_the_item() -> None:
    modalities, _ = pair()
    modalities["text"].vectors[3, 1] = torch.nan
    with pytest.raises(ArtifactError, match="text vectors of 1 items hold NaN or infinity, item 3"):
        fitted(modalities, 5)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e6])
def test_constant_vectors_say_nothing_and_leave_the_other_modality_alone(value: float) -> None:
    modalities, _ = pair(missing=0)
    constant = Modality(torch.full((400, 7), value), torch.ones(400, dtype=torch.bool), 1.0)
    mixed = {"text": modalities["text"], "behaviour": constant}
    fused = fitted(mixed, 5)(mixed)
    torch.testing.assert_close(fused[:, :5], fitted({"text": mixed["text"]}, 5)(mixed))
    assert fused[:, 5:].abs().max() == 0
    alone = {"behaviour": constant}
    assert fitted(alone, 5)(alone).tolist() == [[0.0]] * 400


def test_one_item_stands_at_the_mean() -> None:
    modalities = {
        "text": Modality(torch.randn(1, 12), torch.ones(1, dtype=torch.bool), 1.0),
        "behaviour": Modality(torch.zeros(1, 7), torch.zeros(1, dtype=torch.bool), 1.0),
    }
    assert fitted(modalities, 5)(modalities).tolist() == [[0.0]]


def test_fewer_items_than_components_keep_their_distances_apart() -> None:
    vectors = {"text": Modality(torch.randn(6, 40, generator=torch.Generator().manual_seed(3)), torch.ones(6) > 0, 1.0)}
    fused = fitted(vectors, 32)(vectors)
    assert fused.shape == (6, 5)
    assert torch.pdist(fused).min() > 0.1


def test_thousands_of_duplicates_stay_one_point_and_do_not_drown_the_rest() -> None:
    modalities, _ = pair(missing=0)
    duplicates = {
        name: Modality(torch.cat([m.vectors, m.vectors[:1].expand(5000, -1)]), torch.ones(5400) > 0, m.weight)
        for name, m in modalities.items()
    }
    fused = fitted(duplicates, 5)(duplicates)
    assert torch.isfinite(fused).all()
    torch.testing.assert_close(fused[400:], fused[:1].expand(5000, -1))
    assert torch.pdist(fused[:400]).min() > 1e-3


def test_modalities_that_no_item_has_both_of_are_not_guessed_from_each_other() -> None:
    modalities, _ = pair(missing=200)
    fused = fitted(modalities, 5)(modalities)
    assert fused[:200, 5:].abs().max() == 0
    assert fused[200:, :5].abs().max() == 0

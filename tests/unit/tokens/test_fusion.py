"""Fusion: equal say for the modalities, and no artefact where one is missing."""

from __future__ import annotations

import pytest
import torch

from semconv.errors import ArtifactError
from semconv.tokens.fusion import Fusion, Modality


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


def test_each_block_has_the_energy_of_its_weight_in_every_direction() -> None:
    modalities, _ = pair(missing=0)
    fused = Fusion.fit(modalities, components=4)(modalities)
    assert fused.shape == (400, 8)
    torch.testing.assert_close(fused[:, :4].square().sum(dim=1).mean(), torch.tensor(1.0))
    torch.testing.assert_close(fused[:, 4:].square().sum(dim=1).mean(), torch.tensor(4.0))
    covariance = fused[:, 4:].T @ fused[:, 4:] / 400
    torch.testing.assert_close(covariance, torch.eye(4), atol=1e-4, rtol=0)


def test_no_more_components_than_the_vectors_span() -> None:
    modalities, _ = pair(missing=0)
    assert Fusion.fit(modalities, components=64)(modalities).shape == (400, 10)


def test_a_missing_modality_is_guessed_from_the_other() -> None:
    modalities, behaviour = pair()
    fusion = Fusion.fit(modalities, components=5)
    fused = fusion(modalities)
    everything = torch.ones(400, dtype=torch.bool)
    truth = fusion({**modalities, "behaviour": Modality(behaviour, everything, 2.0)})
    guessed, known = fused[:50, 5:], truth[:50, 5:]
    assert (guessed - known).square().sum() < 0.1 * known.square().sum()
    torch.testing.assert_close(fused[50:350], truth[50:350])


def test_what_stands_in_a_missing_row_is_never_read() -> None:
    modalities, _ = pair()
    fusion = Fusion.fit(modalities, components=5)
    behaviour = modalities["behaviour"]
    noisy = behaviour.vectors.clone()
    noisy[:50] = 1e3
    altered = {**modalities, "behaviour": Modality(noisy, behaviour.has, 2.0)}
    torch.testing.assert_close(fusion(altered), fusion(modalities))
    torch.testing.assert_close(Fusion.fit(altered, components=5)(altered), fusion(modalities))


def test_an_item_of_which_nothing_is_known_stands_at_the_mean() -> None:
    modalities, _ = pair(missing=0)
    nobody = torch.ones(400, dtype=torch.bool)
    nobody[7] = False
    modalities = {name: Modality(m.vectors * nobody[:, None], nobody, m.weight) for name, m in modalities.items()}
    assert Fusion.fit(modalities, 5)(modalities)[7].abs().max() == 0


def test_a_modality_that_nothing_has_or_that_weighs_nothing_is_left_out() -> None:
    modalities, _ = pair(missing=0)
    absent = Modality(torch.zeros(400, 7), torch.zeros(400, dtype=torch.bool), 1.0)
    for other in (absent, Modality(modalities["behaviour"].vectors, modalities["behaviour"].has, 0.0)):
        mixed = {"text": modalities["text"], "behaviour": other}
        assert Fusion.fit(mixed, 5)(mixed).shape == (400, 5)
    with pytest.raises(ArtifactError, match="No item has a vector"):
        Fusion.fit({"behaviour": absent}, 5)


def test_it_comes_back_from_its_tensors() -> None:
    modalities, _ = pair()
    fusion = Fusion.fit(modalities, 5)
    torch.testing.assert_close(Fusion.of(fusion.tensors())(modalities), fusion(modalities))


def test_nan_is_one_error_that_names_the_item() -> None:
    modalities, _ = pair()
    modalities["text"].vectors[3, 1] = torch.nan
    with pytest.raises(ArtifactError, match="text vectors of 1 items hold NaN or infinity, item 3"):
        Fusion.fit(modalities, 5)

"""Reconstruction errors, and where there is nothing to hold them against."""

from __future__ import annotations

import pytest
import torch

from semconv.tokens.quality import reconstruction_errors
from semconv.tokens.residual_kmeans import ResidualKMeans
from tests.unit.tokens.planted import noise


def test_errors_of_vectors_that_do_not_differ_are_unknown() -> None:
    """What is left of the mean is rounding; what they are rebuilt as may be far."""
    quantizer = ResidualKMeans(torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(0)))
    codes_NL = torch.zeros(50, 2, dtype=torch.long)
    for value, mean in ((0.0, 1e-8), (0.1, 0.1 + 1e-9), (5.0, 5.0)):
        found = reconstruction_errors(quantizer, torch.full((50, 3), value), codes_NL, codes_NL, torch.full((3,), mean))
        assert found == {"error": None, "error_before": None, "error_by_level": [None, None]}
    apart = noise(50, 3, 1)
    missed = float((apart - quantizer.decode(codes_NL)).square().sum() / (apart - apart.mean(0)).square().sum())
    assert reconstruction_errors(quantizer, apart, codes_NL, codes_NL, apart.mean(0))["error"] == pytest.approx(missed)

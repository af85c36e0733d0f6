"""Vectors with a planted shape, and a small RQ-VAE to fit on them."""

from __future__ import annotations

import torch

from semconv.config import RqVaeSettings
from semconv.tokens.quantizer import Quantizer
from semconv.tokens.rqvae import RqVae
from semconv.tokens.rqvae_training import Cascade, fit_rqvae

CASCADE = Cascade(levels=3, codes=16, iterations=10)


def noise(n: int, width: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, width, generator=torch.Generator().manual_seed(seed))


def bent(n: int = 1000, width: int = 16, inner: int = 3, seed: int = 0) -> torch.Tensor:
    """Points of a curved surface of few dimensions in a space of many."""
    surface = torch.tanh(1.5 * noise(n, inner, seed) @ noise(inner, width, 99))
    return surface - surface.mean(dim=0)


def small(**changed: object) -> RqVaeSettings:
    plain: dict[str, object] = {"width": 8, "hidden": (32,), "batch_size": 256, "steps": 150, "learning_rate": 3e-3}
    return RqVaeSettings(**(plain | changed))


def fitted(vectors: torch.Tensor, cascade: Cascade = CASCADE, seed: int = 1, **changed: object) -> RqVae:
    return fit_rqvae(vectors, cascade, small(**changed), seed=seed)[0]


def error(quantizer: Quantizer, vectors: torch.Tensor) -> float:
    """Squared reconstruction error in units of the vectors' own."""
    rebuilt = quantizer.decode(quantizer.encode(vectors))
    return float((vectors - rebuilt).square().sum() / vectors.square().sum())


def neighbour_agreement(one: torch.Tensor, other: torch.Tensor, k: int = 10) -> float:
    """Share of an item's k nearest in one space that are so in the other."""
    near = [(torch.cdist(v, v).fill_diagonal_(torch.inf)).topk(k, largest=False).indices for v in (one, other)]
    return float((near[0][:, :, None] == near[1][:, None, :]).any(dim=2).float().mean())

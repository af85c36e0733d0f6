"""Fitting an RQ-VAE: reconstruction and commitment, and whatever else the quantised vectors are asked to be.

The codebooks are `ResidualVQ` of vector-quantize-pytorch: moving averages of what is assigned to a code (or, where a
loss speaks to the codes themselves, gradients), commitment, and revival of dead codes. Done here because the package
does not: the start (its k-means sees one batch and draws seeds from the points, which leaves most codes dead on
whitened vectors), gradients passed through the quantisation once instead of once a level, the pulls and regularisers.

Legend: N items, B batch, D width of a vector, Z width of the latent, L levels, C codes per level, E width of a target.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from semconv.config import RqVaeSettings
from semconv.progress import Report, silent
from semconv.tokens.balance import even_choice
from semconv.tokens.contrast import Target, info_nce, starting_projection
from semconv.tokens.diversity import diversity_loss, even_clusters
from semconv.tokens.fusion import check_finite
from semconv.tokens.kmeans import BLOCK, assign, revive
from semconv.tokens.residual_kmeans import ResidualKMeans, slices_of
from semconv.tokens.rqvae import Corrected, RqVae

CLUSTER_EVERY = 50
"""Steps between two clusterings of the code embeddings."""
_DECAY = 0.99
_DEAD = 0.02
"""A code with less than this share of an even share of the items is dead."""


@dataclass(frozen=True)
class Pull:
    """A target, the weight of its loss, and the temperature of its softmax."""

    target: Target
    weight: float
    temperature: float


@dataclass(frozen=True)
class Cascade:
    """Levels L and codes C of the codebooks, ``parallel`` slices side by side, ``even`` use of the last level."""

    levels: int
    codes: int
    iterations: int
    parallel: int = 1
    even: bool = False


def fit_rqvae(
    vectors_ND: torch.Tensor,
    cascade: Cascade,
    settings: RqVaeSettings,
    *,
    seed: int,
    pulls: Mapping[str, Pull] | None = None,
    device: str = "cpu",
    report: Report = silent,
) -> tuple[RqVae, dict[str, torch.Tensor]]:
    """The quantizer, and for each pull the map from the latent space to its target's, float32 (Z, E).

    Same vectors, settings, seed and thread count: same quantizer, on CPU. Raises `ArtifactError` on NaN.
    """
    check_finite("fused", vectors_ND)
    with torch.random.fork_rng(devices=[device] if device != "cpu" else []):
        torch.manual_seed(seed)
        training = _Training(vectors_ND.float(), cascade, settings, pulls or {}, seed, device, report)
        for step in range(settings.steps):
            loss = training.step(step)
            report(step + 1, settings.steps, f"rqvae step {step + 1}, loss {loss:.3f}")
        return training.result(seed)


class _Training:
    def __init__(
        self,
        vectors_ND: torch.Tensor,
        cascade: Cascade,
        settings: RqVaeSettings,
        pulls: Mapping[str, Pull],
        seed: int,
        device: str,
        report: Report,
    ) -> None:
        self._cascade, self._settings, self._pulls, self._device = cascade, settings, pulls, device
        self._random = torch.Generator().manual_seed(seed)
        self._vectors_ND = vectors_ND
        self._batch = min(settings.batch_size, len(vectors_ND))
        mean_square = float(vectors_ND.square().mean())
        self._scale = mean_square**-0.5 if mean_square > 0 else 1.0
        axes_ZD = principal_axes(vectors_ND, settings.width)
        self._encoder = Corrected(axes_ZD, settings.hidden).to(device)
        self._decoder = Corrected(axes_ZD.T, settings.hidden[::-1]).to(device)
        start = RqVae(self._encoder.cpu(), _NO_CODES, self._decoder.cpu(), self._scale)
        latents_NZ = start.latents(vectors_ND)
        first = ResidualKMeans.fit(
            latents_NZ,
            levels=cascade.levels,
            codes=cascade.codes,
            iterations=cascade.iterations,
            seed=seed,
            parallel=cascade.parallel,
            report=report,
        )
        self._slices = slices_of(latents_NZ.shape[1], cascade.levels, cascade.parallel)
        self._books = _codebooks(
            first, latents_NZ, self._slices, self._batch, settings, cascade, vectors_ND.shape[1]
        ).to(device)
        points_NZ = first.decode(first.encode(latents_NZ))
        self._heads = nn.ParameterDict(
            {
                name: starting_projection(points_NZ[pull.target.has], pull.target.vectors[pull.target.has])
                for name, pull in pulls.items()
            }
        ).to(device)
        self._clusters: list[torch.Tensor] = []
        modules = (self._encoder.to(device), self._decoder.to(device), self._books, self._heads)
        weights = [weight for module in modules for weight in module.parameters()]
        self._optimizer = torch.optim.Adam(weights, lr=settings.learning_rate)

    def step(self, step: int) -> float:
        """One optimizer step; the loss."""
        settings = self._settings
        rate = settings.learning_rate * 0.5 * (1.0 + math.cos(math.pi * step / settings.steps))
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        rows_B = torch.randint(len(self._vectors_ND), (self._batch,), generator=self._random)
        x_BD = (self._vectors_ND[rows_B] * self._scale).to(self._device)
        latent_BZ = self._encoder(x_BD)
        per_group = len(self._slices) // self._cascade.parallel
        quantised, codes, commitment = [], [], []
        for columns, book in zip(self._slices[::per_group], self._books, strict=True):
            point_BZ, codes_BL, losses_L = book(latent_BZ[:, columns])
            quantised.append(point_BZ)
            codes.append(codes_BL)
            commitment.append(losses_L.sum())
        codes_BL = torch.cat(codes, dim=1)
        point_BZ = latent_BZ + (torch.cat(quantised, dim=1) - latent_BZ).detach()
        loss = F.mse_loss(self._decoder(point_BZ), x_BD) + torch.stack(commitment).sum()
        for name, pull in self._pulls.items():
            has_B = pull.target.has[rows_B]
            targets_BE = pull.target.vectors[rows_B[has_B]].to(self._device)
            guesses_BE = point_BZ[has_B.to(self._device)] @ self._heads[name]
            loss = loss + pull.weight * info_nce(guesses_BE, targets_BE, pull.temperature)
        if settings.diversity_weight:
            loss = loss + settings.diversity_weight * self._diversity(step, codes_BL)
            loss = loss + self._codebook_loss(latent_BZ.detach(), codes_BL)
        self._optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        self._optimizer.step()
        return float(loss.detach())

    def _diversity(self, step: int, codes_BL: torch.Tensor) -> torch.Tensor:
        embeddings = [layer._codebook.embed[0] for layer in _layers(self._books)]
        if step % CLUSTER_EVERY == 0:
            clusters = self._settings.diversity_clusters
            self._clusters = [even_clusters(book_CZ, clusters, self._random) for book_CZ in embeddings]
        losses = [
            diversity_loss(book_CZ, codes_B, clusters_C, self._random)
            for book_CZ, codes_B, clusters_C in zip(embeddings, codes_BL.T, self._clusters, strict=True)
        ]
        return torch.stack(losses).mean()

    def _codebook_loss(self, residual_BZ: torch.Tensor, codes_BL: torch.Tensor) -> torch.Tensor:
        """What codebooks that learn by gradient lack to weight 1 of their own loss: the package gives both the
        codebook and the commitment loss the commitment's weight."""
        lacking = max(0.0, 1.0 - self._settings.commitment)
        losses = []
        for columns, layer, codes_B in zip(self._slices, _layers(self._books), codes_BL.T, strict=True):
            points_BZ = layer._codebook.embed[0][codes_B]
            share = (columns.stop - columns.start) / self._vectors_ND.shape[1]
            losses.append(share * F.mse_loss(points_BZ, residual_BZ[:, columns]))
            residual_BZ = residual_BZ.clone()  # the loss before still needs what it was
            residual_BZ[:, columns] -= points_BZ.detach()
        return lacking * torch.stack(losses).sum()

    def result(self, seed: int) -> tuple[RqVae, dict[str, torch.Tensor]]:
        """What was learned, frozen, on the CPU; codes that no item is nearest to moved to where items are."""
        encoder, decoder = (part.cpu().requires_grad_(False) for part in (self._encoder, self._decoder))
        residual_NZ = RqVae(encoder, _NO_CODES, decoder, self._scale).latents(self._vectors_ND)
        latents_NZ = residual_NZ.clone()
        codebooks_LCZ = torch.zeros(self._cascade.levels, self._cascade.codes, latents_NZ.shape[1])
        for level, (columns, layer) in enumerate(zip(self._slices, _layers(self._books), strict=True)):
            points_NZ = residual_NZ[:, columns]
            book_CZ = revive(points_NZ, layer._codebook.embed[0].detach().cpu())
            residual_NZ[:, columns] = points_NZ - book_CZ[assign(points_NZ, book_CZ)[0]]
            codebooks_LCZ[level][:, columns] = book_CZ
        cascade = ResidualKMeans(codebooks_LCZ)
        if self._cascade.even:
            cascade = cascade.priced(latents_NZ, seed)
        heads = {name: self._heads[name].detach().cpu() for name in self._pulls}
        return RqVae(encoder, cascade, decoder, self._scale), heads


_NO_CODES = ResidualKMeans(torch.zeros(0, 0, 0))


def principal_axes(vectors_ND: torch.Tensor, width: int) -> torch.Tensor:
    """Orthonormal rows along the largest uncentred variance, float32 (Z, D), Z at most D."""
    moment_DD = torch.zeros(vectors_ND.shape[1], vectors_ND.shape[1], dtype=torch.float64)
    for block_BD in torch.split(vectors_ND, BLOCK):
        moment_DD += block_BD.double().T @ block_BD.double()
    _, axes_DD = torch.linalg.eigh(moment_DD)
    axes_ZD: torch.Tensor = axes_DD.flip(1)[:, :width].T.float().contiguous()
    return axes_ZD


def _codebooks(
    first: ResidualKMeans,
    latents_NZ: torch.Tensor,
    slices: list[slice],
    batch: int,
    settings: RqVaeSettings,
    cascade: Cascade,
    width: int,
) -> nn.ModuleList:
    """A `ResidualVQ` for each slice, its codebooks as ``first`` has them, with the cluster sizes of a batch.

    ``width`` is D, that of the vectors.
    """
    from vector_quantize_pytorch import ResidualVQ

    per_group = cascade.levels // cascade.parallel
    by_gradient = settings.diversity_weight > 0
    books = nn.ModuleList(
        ResidualVQ(
            dim=columns.stop - columns.start,
            num_quantizers=per_group,
            codebook_size=cascade.codes,
            decay=_DECAY,
            threshold_ema_dead_code=_DEAD * batch / cascade.codes,
            # A mean over the slice's columns, in the units of the reconstruction error: a mean over the vector's.
            commitment_weight=settings.commitment * (columns.stop - columns.start) / width,
            rotation_trick=False,
            learnable_codebook=by_gradient,
            ema_update=not by_gradient,
        )
        for columns in slices[::per_group]
    )
    codes_NL = first.encode(latents_NZ)
    for level, (layer, columns) in enumerate(zip(_layers(books), slices, strict=True)):
        sizes_C = torch.bincount(codes_NL[:, level], minlength=cascade.codes) * (batch / len(latents_NZ))
        inside = layer._codebook
        inside.embed.data.copy_(first.codebooks[level][:, columns])
        inside.cluster_size.copy_(sizes_C)
        inside.embed_avg.copy_(inside.embed.data * sizes_C[:, None])
    if cascade.even:
        _layers(books)[-1]._codebook.gumbel_sample = even_choice
    return books


def _layers(books: nn.ModuleList) -> list[Any]:
    """The codebooks level by level."""
    groups: Any = books
    return [layer for book in groups for layer in book.layers]

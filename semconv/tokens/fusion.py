"""Text and behaviour in one space: each modality's components partly whitened, scaled to one energy, weighted, joined.

Whitened whole, the last component says as much as the first, and neighbours in the vectors are none any more; not
whitened, few components drown the rest. In between, a component keeps a power of its variance.

An item that lacks a modality would, as zeros, look like every other item that lacks it. It gets instead what the items
nearest in the modality it has have of the other (`guess`). An item with neither is placed at the mean of the catalogue.

Legend: N items, D width of a modality, P components kept of it, F fused width (sum of P over the modalities used), R
reference items, that have both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from semconv.errors import ArtifactError
from semconv.tokens.guess import guess, references
from semconv.tokens.rounding import RESOLUTION

_SMALLEST = 1e-6
"""Components with less than this share of the largest variance are noise of arithmetic, not directions."""

_BLOCK = 65_536
"""Rows that are held in double precision at a time."""


@dataclass(frozen=True)
class Modality:
    """Vectors float32 (N, D), whether an item has one (bool (N)), the weight of the modality, components kept."""

    vectors: torch.Tensor
    has: torch.Tensor
    weight: float
    components: int = 64


@dataclass(frozen=True)
class Projection:
    """Centre, rotate and scale one modality: ``(x - mean_D) @ matrix_DP``, mean square norm 1 over fitted items."""

    mean_D: torch.Tensor
    matrix_DP: torch.Tensor

    @classmethod
    def fit(cls, vectors_ND: torch.Tensor, components: int, whiten: float) -> Projection:
        """Principal components of the rows, their variances to the power of 1 - ``whiten``; fewer where rows span less.

        Rows that are all the same span nothing: one component is kept then, and it is zero for every item.
        """
        mean_D = torch.stack([b.double().sum(dim=0) for b in torch.split(vectors_ND, _BLOCK)]).sum(dim=0) / len(
            vectors_ND
        )
        covariance_DD = torch.zeros(len(mean_D), len(mean_D), dtype=torch.float64)
        for block_BD in torch.split(vectors_ND, _BLOCK):
            centred_BD = block_BD.double() - mean_D
            covariance_DD += centred_BD.T @ centred_BD / len(vectors_ND)
        variances_D, axes_DD = torch.linalg.eigh(covariance_DD)
        variances_D, axes_DD = variances_D.flip(0), axes_DD.flip(1)
        total = variances_D.clamp(min=0).sum() + mean_D.square().sum()
        real_D = (variances_D > _SMALLEST * variances_D[0]) & (variances_D > RESOLUTION * total)
        kept = max(min(components, int(real_D.sum())), 1)
        powers_P = torch.where(real_D[:kept], variances_D[:kept], 1.0) ** (1.0 - whiten)
        energy = powers_P[real_D[:kept]].sum().clamp(min=1e-300)
        scale_P = torch.where(real_D[:kept], (powers_P / variances_D[:kept] / energy).sqrt(), 0.0)
        return cls(mean_D.float(), (axes_DD[:, :kept] * scale_P).float())

    def __call__(self, vectors_ND: torch.Tensor) -> torch.Tensor:
        """Float32 (N, P)."""
        return (vectors_ND - self.mean_D) @ self.matrix_DP


@dataclass(frozen=True)
class Fusion:
    """The fitted fusion: projections by modality name, and with two of them the references that guesses are made from.

    ``references``: components of the same R items, float32 (R, P) each.
    """

    weights: Mapping[str, float]
    projections: Mapping[str, Projection]
    references: Mapping[str, torch.Tensor]

    @classmethod
    def fit(cls, modalities: Mapping[str, Modality], whiten: float) -> Fusion:
        """Fit on the items that have the modality; modalities of weight zero, or that no item has, are left out.

        ``whiten``: 1 makes the components of a modality equally strong, 0 leaves them as they are. Raises
        `ArtifactError` on values that are not finite, and when nothing is left to fuse.
        """
        for name, modality in modalities.items():
            check_finite(name, modality.vectors)
        used = {name: m for name, m in modalities.items() if m.weight > 0 and bool(m.has.any())}
        if not used:
            raise ArtifactError(
                "No item has a vector of any modality with a positive weight",
                "Give the items titles or interactions, or weigh the modality they have",
            )
        projections = {name: Projection.fit(m.vectors[m.has], m.components, whiten) for name, m in used.items()}
        known: dict[str, torch.Tensor] = {}
        if len(used) == 2:
            both = torch.stack([m.has for m in used.values()]).all(dim=0).nonzero().flatten()
            chosen = both[references(len(both))]
            known = {name: projections[name](m.vectors[chosen]) for name, m in used.items()}
        return cls({name: m.weight for name, m in used.items()}, projections, known)

    def __call__(self, modalities: Mapping[str, Modality]) -> torch.Tensor:
        """Fused vectors, float32 (N, F)."""
        widths = [self.projections[name].matrix_DP.shape[1] for name in self.weights]
        items = len(next(iter(modalities.values())).vectors)
        fused_NF = torch.zeros(items, sum(widths))
        blocks = dict(zip(self.weights, torch.split(fused_NF, widths, dim=1), strict=True))
        for name, block_NP in blocks.items():
            modality = modalities[name]
            for begin in range(0, items, _BLOCK):
                rows = slice(begin, begin + _BLOCK)
                projected = self.projections[name](modality.vectors[rows])
                block_NP[rows] = torch.where(modality.has[rows, None], projected, 0.0)
        for name, block_NP in blocks.items():
            for other in self.weights.keys() - {name}:
                lacking = (~modalities[name].has & modalities[other].has).nonzero().flatten()
                block_NP[lacking] = guess(blocks[other][lacking], self.references[other], self.references[name])
        for name, block_NP in blocks.items():
            block_NP *= self.weights[name]
        return fused_NF

    def columns(self, factors: Mapping[str, float]) -> torch.Tensor:
        """A factor for each column of the fused vectors, float32 (F): its modality's, or 1 where none is given."""
        widths = {name: projection.matrix_DP.shape[1] for name, projection in self.projections.items()}
        return torch.cat([torch.full((widths[name],), factors.get(name, 1.0)) for name in self.weights])

    def tensors(self) -> dict[str, torch.Tensor]:
        """Everything that is needed to fuse a new item, under names that start with ``fusion.``."""
        stored = {}
        for name, projection in self.projections.items():
            stored[f"fusion.{name}.mean"] = projection.mean_D
            stored[f"fusion.{name}.matrix"] = projection.matrix_DP.contiguous()
            stored[f"fusion.{name}.weight"] = torch.tensor(self.weights[name])
        for name, known_RP in self.references.items():
            stored[f"fusion.{name}.references"] = known_RP.contiguous()
        return stored

    @classmethod
    def of(cls, tensors: Mapping[str, torch.Tensor]) -> Fusion:
        """The fusion that `tensors` describes. Raises `ArtifactError` where guesses were made in another way."""
        names = [key.split(".")[1] for key in tensors if key.startswith("fusion.") and key.endswith(".mean")]
        # In the order of fitting; a file of tensors may give them back in another.
        names.sort(key=("text", "behaviour").index)
        if len(names) == 2 and not all(f"fusion.{name}.references" in tensors for name in names):
            raise ArtifactError(
                "The tokens hold no reference items: an earlier version of semconv made them",
                "Redo the stage tokenize, or continue them with the version that made them",
            )
        return cls(
            {name: float(tensors[f"fusion.{name}.weight"]) for name in names},
            {n: Projection(tensors[f"fusion.{n}.mean"], tensors[f"fusion.{n}.matrix"]) for n in names},
            {n: tensors[f"fusion.{n}.references"] for n in names if len(names) == 2},
        )


def check_finite(name: str, vectors_ND: torch.Tensor) -> None:
    """Raise `ArtifactError` naming the first item whose vector holds NaN or infinity."""
    broken = ~torch.isfinite(vectors_ND).all(dim=1)
    if broken.any():
        first = int(broken.nonzero()[0])
        raise ArtifactError(
            f"The {name} vectors of {int(broken.sum())} items hold NaN or infinity, item {first} first",
            "Redo the stage embed; if it happens again, lower its learning rate",
        )

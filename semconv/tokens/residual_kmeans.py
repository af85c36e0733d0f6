"""Residual k-means: level by level, the codes of a level are clusters of what the levels before left over.

Clustering the residuals is how the paper initialises its cascaded codebooks; as a quantizer of its own it is residual
vector quantisation (Juang & Gray 1982). Legend: N items, D width of a vector, L levels, C codes per level.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch

from semconv.progress import Report, silent
from semconv.tokens.fusion import check_finite
from semconv.tokens.kmeans import assign, fit_kmeans, squared_distances


@dataclass(frozen=True)
class ResidualKMeans:
    """A fitted `Quantizer`; ``codebooks`` float32 (L, C, D)."""

    codebooks: torch.Tensor

    @classmethod
    def fit(
        cls,
        vectors_ND: torch.Tensor,
        *,
        levels: int,
        codes: int,
        iterations: int,
        seed: int,
        report: Report = silent,
    ) -> ResidualKMeans:
        """Cluster the vectors, then what is left of them, ``levels`` times. Raises `ArtifactError` on NaN."""
        check_finite("fused", vectors_ND)
        generator = torch.Generator().manual_seed(seed)
        residual_ND = vectors_ND.float()
        codebooks = []
        for level in range(levels):
            done = iter(range(1, iterations + 1))

            def step(level: int = level, done: Iterator[int] = done) -> None:
                report(level * iterations + next(done), levels * iterations, f"level {level + 1}")

            codebook_CD = fit_kmeans(residual_ND, codes, iterations=iterations, generator=generator, step=step)
            residual_ND = residual_ND - codebook_CD[assign(residual_ND, codebook_CD)[0]]
            codebooks.append(codebook_CD)
        return cls(torch.stack(codebooks))

    def encode(self, vectors_ND: torch.Tensor) -> torch.Tensor:
        """Nearest code of each level in turn, int64 (N, L)."""
        residual_ND = vectors_ND.float()
        levels = []
        for codebook_CD in self.codebooks:
            codes_N, _ = assign(residual_ND, codebook_CD)
            residual_ND = residual_ND - codebook_CD[codes_N]
            levels.append(codes_N)
        return torch.stack(levels, dim=1)

    def decode(self, codes_NL: torch.Tensor) -> torch.Tensor:
        """Sum of the codes' centroids, float32 (N, D)."""
        picked = [codebook_CD[codes_N] for codebook_CD, codes_N in zip(self.codebooks, codes_NL.T, strict=True)]
        return torch.stack(picked).sum(dim=0)

    def last_level_costs(self, vectors_ND: torch.Tensor, codes_NL: torch.Tensor) -> torch.Tensor:
        """Squared error under each code of the last level, the codes before it kept: float32 (N, C)."""
        before_ND = ResidualKMeans(self.codebooks[:-1]).decode(codes_NL[:, :-1])
        return squared_distances(vectors_ND.float() - before_ND, self.codebooks[-1])

    def tensors(self) -> dict[str, torch.Tensor]:
        """``codebooks`` alone."""
        return {"codebooks": self.codebooks.contiguous()}

    @classmethod
    def of(cls, tensors: Mapping[str, torch.Tensor]) -> ResidualKMeans:
        """The quantizer that `tensors` describes."""
        return cls(tensors["codebooks"])

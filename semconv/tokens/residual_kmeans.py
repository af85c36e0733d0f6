"""Residual k-means: level by level, the codes of a level are clusters of what the levels before left over.

Clustering the residuals is how the paper initialises its cascaded codebooks; as a quantizer of its own it is residual
vector quantisation (Juang & Gray 1982). Legend: N items, D width of a vector, L levels, C codes per level.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import torch

from semconv.errors import ArtifactError
from semconv.progress import Report, silent
from semconv.tokens.balance import even_prices, sample_size
from semconv.tokens.fusion import check_finite
from semconv.tokens.kmeans import assign, fit_kmeans, squared_distances


@dataclass(frozen=True)
class ResidualKMeans:
    """A fitted `Quantizer`; ``codebooks`` float32 (L, C, D), ``prices_C`` what the last level's codes cost on top.

    ``first_D`` scales the columns for the first level's distances.
    """

    codebooks: torch.Tensor
    prices_C: torch.Tensor | None = None
    first_D: torch.Tensor | None = None

    @classmethod
    def fit(
        cls,
        vectors_ND: torch.Tensor,
        *,
        levels: int,
        codes: int,
        iterations: int,
        seed: int,
        parallel: int = 1,
        even: bool = False,
        first_D: torch.Tensor | None = None,
        report: Report = silent,
    ) -> ResidualKMeans:
        """Cluster the vectors, then what is left of them, ``levels`` times. Raises `ArtifactError` on NaN.

        With ``parallel`` codebooks the columns are cut into as many slices (`slices_of`), each with a cascade of its
        own: a codebook is zero outside its slice, so that codes still add up. ``even`` prices the last level's codes
        so that they are used alike. ``first_D``, all positive, says how much each column counts in clustering at the
        first level.
        """
        check_finite("fused", vectors_ND)
        generator = torch.Generator().manual_seed(seed)
        residual_ND = vectors_ND.float().clone()
        codebooks = torch.zeros(levels, codes, residual_ND.shape[1])
        for level, columns in enumerate(slices_of(residual_ND.shape[1], levels, parallel)):
            done = iter(range(1, iterations + 1))

            def step(level: int = level, done: Iterator[int] = done) -> None:
                report(level * iterations + next(done), levels * iterations, f"level {level + 1}")

            points_ND = residual_ND[:, columns]
            scale_D = None if first_D is None or level else first_D[columns]
            scaled_ND = _scaled(points_ND, scale_D)
            scaled_CD = fit_kmeans(scaled_ND, codes, iterations=iterations, generator=generator, step=step)
            codebook_CD = scaled_CD if scale_D is None else scaled_CD / scale_D
            residual_ND[:, columns] = points_ND - codebook_CD[assign(scaled_ND, scaled_CD)[0]]
            codebooks[level][:, columns] = codebook_CD
        fitted = cls(codebooks, first_D=first_D)
        return fitted.priced(vectors_ND, seed) if even else fitted

    def priced(self, vectors_ND: torch.Tensor, seed: int) -> ResidualKMeans:
        """The same codebooks, the last level's codes priced so that these vectors use them evenly."""
        generator = torch.Generator().manual_seed(seed)
        sample = torch.randperm(len(vectors_ND), generator=generator)[: sample_size(self.codebooks.shape[1])]
        sample_SD = vectors_ND[sample]
        plain = replace(self, prices_C=None)
        return replace(
            self, prices_C=even_prices(plain.level_costs(sample_SD, plain.encode(sample_SD), len(self.codebooks) - 1))
        )

    def latents(self, vectors_ND: torch.Tensor) -> torch.Tensor:
        """The vectors themselves: they are what is quantised."""
        return vectors_ND.float()

    def encode(self, vectors_ND: torch.Tensor) -> torch.Tensor:
        """Nearest code of each level in turn, int64 (N, L); at the last level the cheapest, where codes have prices."""
        residual_ND = vectors_ND.float()
        last = len(self.codebooks) - 1
        levels = []
        for level, codebook_CD in enumerate(self.codebooks):
            scale_D = None if level else self.first_D
            prices_C = self.prices_C if level == last else None
            codes_N, _ = assign(_scaled(residual_ND, scale_D), _scaled(codebook_CD, scale_D), prices_C)
            residual_ND = residual_ND - codebook_CD[codes_N]
            levels.append(codes_N)
        return torch.stack(levels, dim=1)

    def decode(self, codes_NL: torch.Tensor) -> torch.Tensor:
        """Sum of the codes' centroids, float32 (N, D); of fewer columns, that of the first levels."""
        total_ND = torch.zeros(len(codes_NL), self.codebooks.shape[2])
        for codebook_CD, codes_N in zip(self.codebooks, codes_NL.T, strict=False):
            total_ND += codebook_CD[codes_N]
        return total_ND

    def level_costs(self, vectors_ND: torch.Tensor, codes_NL: torch.Tensor, level: int) -> torch.Tensor:
        """Squared error under each code of a level, the codes before it kept: float32 (N, C); scaled at the first."""
        scale_D = None if level else self.first_D
        residual_ND = vectors_ND.float() - self.decode(codes_NL[:, :level])
        return squared_distances(_scaled(residual_ND, scale_D), _scaled(self.codebooks[level], scale_D))

    def tensors(self) -> dict[str, torch.Tensor]:
        """``codebooks``, and ``prices`` and ``first`` where there are any."""
        own = {"codebooks": self.codebooks, "prices": self.prices_C, "first": self.first_D}
        return {name: tensor.contiguous() for name, tensor in own.items() if tensor is not None}

    @classmethod
    def of(cls, tensors: Mapping[str, torch.Tensor]) -> ResidualKMeans:
        """The quantizer that `tensors` describes."""
        return cls(tensors["codebooks"], tensors.get("prices"), tensors.get("first"))


def _scaled(points_ND: torch.Tensor, scale_D: torch.Tensor | None) -> torch.Tensor:
    return points_ND if scale_D is None else points_ND * scale_D


def slices_of(width: int, levels: int, parallel: int) -> list[slice]:
    """The columns that each level quantises: ``parallel`` slices, as even as can be, levels shared among them in order.

    Several codebooks side by side instead of one long cascade, as Mixture-of-Codes has them (Zhang et al., arXiv
    2410.09560); here each sees its own columns, which the encoder of an RQ-VAE chooses and which, of plain fused
    vectors, are text and behaviour at two slices and one width. Raises `ArtifactError` for fewer columns than slices.
    """
    if width < parallel:
        raise ArtifactError(
            f"The vectors to quantise have {width} columns and tokenize.parallel is {parallel}",
            "Lower tokenize.parallel, or give vectors that tell items apart in more than one direction",
        )
    bounds = [group * width // parallel for group in range(parallel + 1)]
    return [slice(bounds[group], bounds[group + 1]) for group in range(parallel) for _ in range(levels // parallel)]

"""Quantizers by name, as `tokenize.quantizer` and ``quantizer.json`` give it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch

from semconv.errors import ArtifactError
from semconv.tokens.quantizer import Quantizer
from semconv.tokens.residual_kmeans import ResidualKMeans
from semconv.tokens.rqvae import RqVae

QUANTIZERS: Mapping[str, Callable[[Mapping[str, torch.Tensor]], Quantizer]] = {
    "residual_kmeans": ResidualKMeans.of,
    "rqvae": RqVae.of,
}


def open_quantizer(name: str, tensors: Mapping[str, torch.Tensor]) -> Quantizer:
    """The quantizer of this name that `tensors` describes. Raises `ArtifactError` for a name that is not known."""
    if name not in QUANTIZERS:
        raise ArtifactError(
            f"The tokens were made by the quantizer '{name}', which is none of {', '.join(QUANTIZERS)}",
            "Redo the stage tokenize",
        )
    return QUANTIZERS[name](tensors)

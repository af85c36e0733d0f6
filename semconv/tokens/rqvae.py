"""RQ-VAE, fitted and frozen: encoder to a latent, residual codebooks in it, decoder back (Lee et al.,
arXiv 2203.01941).

Encoder and decoder are each a linear map plus a multilayer correction. The linear maps start as principal components
and back, the corrections at zero: the start of training is residual k-means, and what is learned comes on top.

Legend: N items, B block, D width of a vector, Z width of the latent, L levels, C codes per level.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional as F

from semconv.tokens.kmeans import BLOCK
from semconv.tokens.residual_kmeans import ResidualKMeans


class Corrected(nn.Module):
    """A linear map (D_out, D_in), plus a multilayer perceptron that starts at zero."""

    def __init__(self, linear: torch.Tensor, hidden: Sequence[int]) -> None:
        super().__init__()
        widths = [linear.shape[1], *hidden, linear.shape[0]]
        self.linear = nn.Parameter(linear.clone())
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        last = self.layers[-1]
        for weight in last.parameters():
            nn.init.zeros_(weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, D_in) to (B, D_out)."""
        straight = F.linear(x, self.linear)
        for layer in self.layers[:-1]:
            x = F.silu(layer(x))
        bent: torch.Tensor = self.layers[-1](x)
        return straight + bent

    @classmethod
    def of(cls, tensors: Mapping[str, torch.Tensor], prefix: str) -> Corrected:
        """The network whose weights are stored under ``prefix``."""
        own = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
        hidden = [len(own[f"layers.{number}.bias"]) for number in range(len(own) // 2 - 1)]
        network = cls(own["linear"], hidden)
        network.load_state_dict(own)
        return network.requires_grad_(False)


@dataclass(frozen=True)
class RqVae:
    """A fitted `Quantizer`; vectors are multiplied by ``scale`` before they are encoded."""

    encoder: Corrected
    cascade: ResidualKMeans
    decoder: Corrected
    scale: float

    @property
    def codebooks(self) -> torch.Tensor:
        """Float32 (L, C, Z), in the latent space."""
        return self.cascade.codebooks

    @torch.no_grad()
    def latents(self, vectors_ND: torch.Tensor) -> torch.Tensor:
        """Float32 (N, Z)."""
        return torch.cat([self.encoder(block_BD.float() * self.scale) for block_BD in torch.split(vectors_ND, BLOCK)])

    def encode(self, vectors_ND: torch.Tensor) -> torch.Tensor:
        """Codes of every vector, int64 (N, L)."""
        return self.cascade.encode(self.latents(vectors_ND))

    @torch.no_grad()
    def decode(self, codes_NL: torch.Tensor) -> torch.Tensor:
        """What the decoder reads from the codes, float32 (N, D); of fewer columns, from those of the first levels."""
        blocks = torch.split(codes_NL, BLOCK)
        return torch.cat([self.decoder(self.cascade.decode(block_BL)) for block_BL in blocks]) / self.scale

    def level_costs(self, vectors_ND: torch.Tensor, codes_NL: torch.Tensor, level: int) -> torch.Tensor:
        """Squared error in the latent space under each code of a level, the codes before it kept: float32 (N, C)."""
        return self.cascade.level_costs(self.latents(vectors_ND), codes_NL, level)

    def tensors(self) -> dict[str, torch.Tensor]:
        """The cascade's tensors, ``encoder.*``, ``decoder.*`` and ``scale``."""
        own = {
            f"{name}.{key}": tensor.contiguous()
            for name, network in (("encoder", self.encoder), ("decoder", self.decoder))
            for key, tensor in network.state_dict().items()
        }
        return {**self.cascade.tensors(), **own, "scale": torch.tensor(self.scale, dtype=torch.float64)}

    @classmethod
    def of(cls, tensors: Mapping[str, torch.Tensor]) -> RqVae:
        """The quantizer that `tensors` describes."""
        encoder, decoder = Corrected.of(tensors, "encoder."), Corrected.of(tensors, "decoder.")
        return cls(encoder, ResidualKMeans.of(tensors), decoder, float(tensors["scale"]))

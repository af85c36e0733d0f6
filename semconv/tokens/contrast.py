"""Pulling quantised vectors towards other vectors of the same items: InfoNCE, with the rest of the batch as negatives.

InfoNCE is from van den Oord et al., arXiv 1807.03748. Pulled towards the language model's own embedding of an item's
text, the codes stay close to its space (the alignment loss of Semantic Convergence, arXiv 2412.13771, whose exact form
is not public); pulled towards the item's behaviour vector, it is LETTER's collaborative regularisation (Wang et al.,
arXiv 2405.07314).

Legend: N items, B batch, Z width of the quantised space, E width of a target, L levels, C codes per level.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch.nn import functional as F

from semconv.tokens.fusion import check_finite

PROJECTION = "llm.projection"
"""Name, among a tokenizer's tensors, of the map from the quantised space to the language model's, float32 (Z, E)."""

_SAME = 1.0 - 1e-5
"""Targets of a higher cosine are one and the same, and no negatives of each other."""
_RIDGE = 1e-2
_REGRESSED = 65_536
"""Items that a regression looks at, about; it is only a start."""


@dataclass(frozen=True)
class Target:
    """Where items are pulled: unit vectors float32 (N, E) around their mean, and which items have one, bool (N)."""

    vectors: torch.Tensor
    has: torch.Tensor

    @classmethod
    def of(cls, name: str, vectors_NE: torch.Tensor, has_N: torch.Tensor) -> Target:
        """Raw vectors, centred and normalised; what all items share says nothing about one of them.

        Raises `ArtifactError` on values that are not finite, with the target's ``name``.
        """
        check_finite(name, vectors_NE[has_N])
        known_KE = vectors_NE[has_N].float()
        unit_NE = torch.zeros(vectors_NE.shape)
        unit_NE[has_N] = F.normalize(known_KE - known_KE.mean(dim=0), dim=1)
        return cls(unit_NE, has_N)


def info_nce(guesses_BE: torch.Tensor, targets_BE: torch.Tensor, temperature: float) -> torch.Tensor:
    """Mean cross entropy of picking each guess's own target among those of the batch, by cosine over ``temperature``.

    Equal targets (items that carry one title) are not held against each other. Zero for an empty batch.
    """
    if not len(guesses_BE):
        return guesses_BE.sum()
    targets_BE = F.normalize(targets_BE, dim=1)
    logits_BB = F.normalize(guesses_BE, dim=1) @ targets_BE.T / temperature
    same_BB = targets_BE @ targets_BE.T > _SAME
    own_BB = torch.eye(len(same_BB), dtype=torch.bool, device=same_BB.device)
    return F.cross_entropy(
        logits_BB.masked_fill(same_BB & ~own_BB, -math.inf), torch.arange(len(same_BB), device=same_BB.device)
    )


def fit_projection(
    points_NZ: torch.Tensor, target: Target, *, temperature: float, steps: int, batch_size: int, seed: int
) -> torch.Tensor:
    """A linear map, float32 (Z, E), fitted by InfoNCE alone: for codebooks that are already what they will be.

    It starts at the ridge regression of the targets, which meets their directions where they can be met.
    """
    x_KZ, y_KE = points_NZ[target.has].float(), target.vectors[target.has]
    generator = torch.Generator().manual_seed(seed)
    projection_ZE = starting_projection(x_KZ, y_KE).requires_grad_()
    optimizer = torch.optim.Adam([projection_ZE], lr=1e-2 / math.sqrt(max(points_NZ.shape[1], 1)))
    for _ in range(steps if len(x_KZ) else 0):
        rows = torch.randint(len(x_KZ), (min(batch_size, len(x_KZ)),), generator=generator)
        rows = torch.unique(rows)
        loss = info_nce(x_KZ[rows] @ projection_ZE, y_KE[rows], temperature)
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        optimizer.step()
    return projection_ZE.detach()


def starting_projection(points_KZ: torch.Tensor, targets_KE: torch.Tensor) -> torch.Tensor:
    """Ridge regression of targets on points, scaled to entries of mean square 1 / Z: float32 (Z, E)."""
    stride = max(1, len(points_KZ) // _REGRESSED)
    x, y = points_KZ[::stride].double(), targets_KE[::stride].double()
    width = x.shape[1]
    penalty = _RIDGE * max(float(x.square().sum()) / width, 1e-12)
    solution: torch.Tensor = torch.linalg.solve(x.T @ x + penalty * torch.eye(width, dtype=torch.float64), x.T @ y)
    size = float(solution.square().mean().sqrt())
    return (solution / (size * math.sqrt(width)) if size > 0 else solution).float()


def projected_codes(tensors: Mapping[str, torch.Tensor]) -> torch.Tensor | None:
    """Every code where the language model would put its meaning, float32 (L, C, E); none without a projection."""
    if PROJECTION not in tensors:
        return None
    projected_LCE: torch.Tensor = tensors["codebooks"] @ tensors[PROJECTION]
    return projected_LCE

"""One behaviour vector an item out of several encoders, which see different things in the same purchases.

A model of sequences knows what is bought next, one of the graph what is bought by the same people. N items.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional as F

from semconv.behaviour.protocol import Encoder


def joined(encoders: Sequence[Encoder], has_N: torch.Tensor) -> torch.Tensor:
    """Item vectors of the encoders side by side, at unit length each: float32 (N, sum of widths); 0 unless ``has_N``.

    Their lengths mostly tell how often an item sells, and would make one encoder louder than another.
    """
    parts = [F.normalize(encoder.item_vectors.detach(), dim=1) for encoder in encoders]
    return torch.cat(parts, dim=1) * has_N[:, None]

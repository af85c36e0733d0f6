"""AdamW as both engines use it, and the learning rate's course."""

from __future__ import annotations

import math
from typing import Any

from torch import nn


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Weight decay for matrices, none for vectors (norms, biases)."""
    trained = [p for p in model.parameters() if p.requires_grad]
    return [
        {"params": [p for p in trained if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]


def learning_rate_at(step: int, steps: int, *, peak: float, warmup: float, floor: float = 0.02) -> float:
    """Linear rise over the share ``warmup`` of the steps, then a cosine down to ``floor`` times the peak."""
    rise = max(1, round(steps * warmup))
    if step < rise:
        return peak * (step + 1) / rise
    done = min(1.0, (step - rise) / max(1, steps - rise))
    return peak * (floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * done)))

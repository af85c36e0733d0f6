"""AdamW as both engines use it, and the learning rate's course."""

from __future__ import annotations

import math
from typing import Any

from torch import nn

from semconv.llm.rows import gate_of


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Weight decay for matrices that are multiplied by; none for embeddings, norms and biases.

    An output projection that is the embedding too counts as one. ``rows`` marks the group of the tables behind the
    model's gate, whose other rows decay would change.
    """
    gate = gate_of(model)
    embeddings = {id(table.weight) for table in model.modules() if isinstance(table, nn.Embedding)}
    tables, plain, decayed = [], [], []
    for parameter in model.parameters():
        if not parameter.requires_grad:
            continue
        if gate is not None and parameter in gate:
            tables.append(parameter)
        elif parameter.ndim < 2 or id(parameter) in embeddings:
            plain.append(parameter)
        else:
            decayed.append(parameter)
    groups = [
        {"params": decayed, "weight_decay": weight_decay, "rows": False},
        {"params": plain, "weight_decay": 0.0, "rows": False},
        {"params": tables, "weight_decay": 0.0, "rows": True},
    ]
    return [group for group in groups if group["params"]]


def set_learning_rate(groups: list[dict[str, Any]], rate: float, *, rows_alone: bool) -> None:
    """Give every group its learning rate for the next step: none to what is not trained in it."""
    for group in groups:
        group["lr"] = 0.0 if rows_alone and not group["rows"] else rate


def learning_rate_at(step: int, steps: int, *, peak: float, warmup: float, floor: float = 0.02) -> float:
    """Linear rise over the share ``warmup`` of the steps, then a cosine down to ``floor`` times the peak."""
    rise = max(1, round(steps * warmup))
    if step < rise:
        return peak * (step + 1) / rise
    done = min(1.0, (step - rise) / max(1, steps - rise))
    return peak * (floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * done)))

"""Cross entropy over a large vocabulary without float32 logits, or their probabilities, of all positions at once.

P positions, p of them in a slice, V vocabulary.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.autograd.function import once_differentiable

SLICE = 2**20
"""Logits in float32 at a time on a CPU: few enough to stay in its cache."""
LARGE_SLICE = 2**28
"""The same elsewhere, where each slice costs a launch of every kernel: a gibibyte."""


def cross_entropy_sum(logits_PV: torch.Tensor, labels_P: torch.Tensor, scale: float = 1.0) -> torch.Tensor:
    """Cross entropy in float32, summed and multiplied by ``scale``; logits of any precision, labels int64.

    The gradient is formed with the loss, slice by slice, and rounded once to the logits' precision (as Liger does, Hsu
    et al. 2024), so that of all positions only the logits and their gradient are ever held.
    """
    apply: Any = _CrossEntropy.apply
    loss: torch.Tensor = apply(logits_PV, labels_P, scale)
    return loss


class _CrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits_PV: torch.Tensor, labels_P: torch.Tensor, scale: float) -> torch.Tensor:
        size = SLICE if logits_PV.device.type == "cpu" else LARGE_SLICE
        rows = max(1, size // max(1, logits_PV.shape[1]))
        gradient_PV = torch.empty_like(logits_PV) if ctx.needs_input_grad[0] else None
        total = torch.zeros((), dtype=torch.float32, device=logits_PV.device)
        for start in range(0, len(labels_P), rows):
            part = slice(start, start + rows)
            logs_pV = logits_PV[part].log_softmax(-1, dtype=torch.float32)
            labels_p1 = labels_P[part, None]
            total -= logs_pV.gather(1, labels_p1).sum()
            if gradient_PV is not None:
                rise_pV = logs_pV.exp_()
                rise_pV.scatter_add_(1, labels_p1, rise_pV.new_full((1, 1), -1.0).expand_as(labels_p1))
                gradient_PV[part] = rise_pV.mul_(scale)
        ctx.save_for_backward(gradient_PV)
        return total * scale

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (gradient_PV,) = ctx.saved_tensors
        return gradient_PV * gradients[0].to(gradient_PV.dtype), None, None

"""RMSNorm (Zhang and Sennrich 2019) whose gradient is written out, in about half the passes over memory.

Small models are held up by such passes, not by their products.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import nn
from torch.autograd.function import once_differentiable

WITHIN = 1e-5
"""Largest difference in float32 from what a module computes by itself."""


def replace_norms(model: nn.Module) -> int:
    """Have every RMSNorm of a Hugging Face model computed so; how many there are.

    A module counts as one if it is called so and computes the same in the same precision, which those that weigh by
    1 + w, or multiply before they round, do not.
    """
    replaced = 0
    for module in model.modules():
        if type(module).__name__.endswith("RMSNorm") and _is_plain(module):
            module.forward = partial(_normalised, module)
            replaced += 1
    return replaced


@torch.no_grad()
def _is_plain(module: Any) -> bool:
    weight = getattr(module, "weight", None)
    if weight is None or not hasattr(module, "variance_epsilon") or set(module.state_dict()) != {"weight"}:
        return False
    drawn = torch.randn(2, len(weight), generator=torch.Generator().manual_seed(0)).to(weight.device)
    found, wanted = rms_norm(drawn, weight, module.variance_epsilon), module(drawn)
    rounded = drawn.bfloat16()
    same_type = rms_norm(rounded, weight, module.variance_epsilon).dtype == module(rounded).dtype
    return same_type and bool((found - wanted).abs().max() <= WITHIN * found.abs().max())


def _normalised(module: Any, hidden_states: torch.Tensor) -> torch.Tensor:
    return rms_norm(hidden_states, module.weight, module.variance_epsilon)


def rms_norm(x: torch.Tensor, weight_D: torch.Tensor, epsilon: float) -> torch.Tensor:
    """``x / sqrt(mean(x ** 2) + epsilon) * weight_D`` over the last axis: means in float32, products as in ``x``."""
    apply: Any = _RmsNorm.apply
    normalised: torch.Tensor = apply(x, weight_D, epsilon)
    return normalised


class _RmsNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight_D: torch.Tensor, epsilon: float) -> torch.Tensor:
        exact = x.float()
        shrink = torch.rsqrt(exact.square().mean(-1, keepdim=True) + epsilon)
        unit = (exact * shrink).to(x.dtype)
        ctx.save_for_backward(unit, shrink, weight_D)
        return unit * weight_D

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, torch.Tensor | None, None]:
        (gradient,) = gradients
        unit, shrink, weight_D = ctx.saved_tensors
        of_x = of_weight = None
        if ctx.needs_input_grad[1]:
            of_weight = (gradient * unit).flatten(0, -2).sum(0)
        if ctx.needs_input_grad[0]:
            weighted = gradient * weight_D
            along = (weighted * unit).sum(-1, keepdim=True, dtype=torch.float32).div_(-unit.shape[-1])
            of_x = torch.addcmul(weighted.float(), unit.float(), along).mul_(shrink).to(unit.dtype)
        return of_x, of_weight, None

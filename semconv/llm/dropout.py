"""Dropout for backbones whose architecture has none of its own besides attention (Qwen3, Llama)."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

_SUBLAYERS = ("self_attn", "attn", "mlp")


def regularise(backbone: nn.Module, rate: float) -> None:
    """Drop attention weights and what every sublayer adds to the residual stream at ``rate``, in training only.

    The configuration of the model is left alone, so a saved copy is what it was.
    """
    own = [module for module in backbone.modules() if isinstance(module, nn.Dropout)]
    for module in own:
        module.p = rate
    for name, module in backbone.named_modules():
        if isinstance(getattr(module, "attention_dropout", None), float):
            module.attention_dropout = rate
        if not own and name.rsplit(".", 1)[-1] in _SUBLAYERS:
            module.register_forward_hook(_Drop(rate))


class _Drop:
    """A forward hook that drops from a sublayer's output."""

    def __init__(self, rate: float) -> None:
        self._rate = rate

    def __call__(self, module: nn.Module, _inputs: Any, output: Any) -> Any:
        if isinstance(output, torch.Tensor):
            return F.dropout(output, self._rate, module.training)
        return (F.dropout(output[0], self._rate, module.training), *output[1:])

"""Gradient checkpointing (Chen et al. 2016): activations of a layer are computed anew in the backward pass."""

from __future__ import annotations

from torch import nn


def recompute_activations(model: nn.Module) -> None:
    """Turn it on in every Hugging Face model within ``model``; dropout draws the same both times."""
    from transformers import PreTrainedModel

    for module in model.modules():
        if isinstance(module, PreTrainedModel):
            module.activation_checkpointing_enable(activation_checkpointing_kwargs={"use_reentrant": False})

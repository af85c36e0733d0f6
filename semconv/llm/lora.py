"""LoRA (Hu et al. 2022) through peft: low-rank updates beside frozen matrices, and merged into them in the end."""

from __future__ import annotations

from typing import Any


def add_lora(model: Any, *, rank: int, alpha: float, dropout: float) -> None:
    """Put updates of ``rank``, scaled by ``alpha / rank``, beside every matrix of a causal LM but its output's.

    All else is frozen. The updates start as nothing: the model says what it said before.
    """
    from peft import LoraConfig, inject_adapter_in_model

    scale: Any = alpha  # annotated as a whole number there, and only ever divided
    config = LoraConfig(
        r=rank, lora_alpha=scale, lora_dropout=dropout, target_modules="all-linear", task_type="CAUSAL_LM"
    )
    inject_adapter_in_model(config, model)


def merge_lora(model: Any) -> None:
    """Add the updates to their matrices and take them out, so that plain transformers saves and loads the model."""
    from peft.tuners.lora import LoraLayer

    layers = [(name, module) for name, module in model.named_modules() if isinstance(module, LoraLayer)]
    for name, layer in layers:
        layer.merge()
        parent, _, child = name.rpartition(".")
        setattr(model.get_submodule(parent), child, layer.get_base_layer())

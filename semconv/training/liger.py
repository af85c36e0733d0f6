"""Liger's Triton kernels (Hsu et al. 2024) for norms and gated layers, on a GPU.

The loss is left as it is: it forms its gradient slice by slice already (`semconv.llm.sliced_loss`). So are rotary
positions: Liger replaces their function for every model of the process, and some of those are looked at on a CPU.
"""

from __future__ import annotations

import importlib.util
import sys

import torch
from torch import nn

from semconv.errors import ResourceError, SettingError


def require_liger() -> None:
    """Raise `SettingError` where the package is not installed."""
    if importlib.util.find_spec("liger_kernel") is None:
        raise SettingError(
            "align.liger is true and the package liger-kernel is not installed",
            "Install the extra: pip install 'semconv[gpu]' -c constraints/gpu.txt",
        )


def use_liger_kernels(model: nn.Module) -> None:
    """Have the Hugging Face model within ``model`` compute with them; its weights stay what they are.

    Raises `ResourceError` without a GPU, and `SettingError` for a kind of model that Liger has no kernels for: it would
    go on without them, and say so to nobody.
    """
    if not torch.cuda.is_available():
        raise ResourceError("align.liger is for GPUs and this worker has none", "Leave align.liger out, or add GPUs")
    patch_with_liger(model)


def patch_with_liger(model: nn.Module) -> None:
    """`use_liger_kernels`, wherever the model lies: patched on a CPU, it computes no more."""
    from liger_kernel.transformers.monkey_patch import MODEL_TYPE_TO_APPLY_LIGER_FN, _apply_liger_kernel_to_instance
    from transformers import PreTrainedModel

    inner = next(module for module in model.modules() if isinstance(module, PreTrainedModel))
    kind = inner.config.model_type
    if kind not in MODEL_TYPE_TO_APPLY_LIGER_FN:
        raise SettingError(f"Liger has no kernels for a model of the type {kind}", "Leave align.liger out")
    library = sys.modules[type(inner).__module__]
    classes = {name: value for name, value in vars(library).items() if isinstance(value, type)}
    _apply_liger_kernel_to_instance(inner, rope=False, cross_entropy=False, fused_linear_cross_entropy=False)
    vars(library).update(classes)  # it replaces them too, for models made later

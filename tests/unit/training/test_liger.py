"""Liger's kernels: refused in words where they cannot be, and put into a model that stays the same on disk."""

from __future__ import annotations

import importlib.util

import pytest
import torch

from semconv.config import AlignSettings
from semconv.errors import ResourceError, SettingError
from semconv.llm.packed_causal import PackedCausal
from semconv.training.job import make_engine
from semconv.training.liger import patch_with_liger, require_liger
from tests.unit.training.tiny_job import portions, tiny_job, tiny_model

INSTALLED = importlib.util.find_spec("liger_kernel") is not None


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_worker_without_a_gpu_refuses_them() -> None:
    assert not AlignSettings().liger
    with pytest.raises(ResourceError, match=r"align\.liger is for GPUs"):
        make_engine(tiny_job(liger=True))


@pytest.mark.skipif(INSTALLED, reason="liger-kernel is installed")
def test_without_the_package_its_extra_is_named() -> None:
    with pytest.raises(SettingError, match="liger-kernel is not installed") as caught:
        require_liger()
    assert "semconv[gpu]" in caught.value.remedy


@pytest.mark.skipif(not INSTALLED, reason="liger-kernel is not installed")
def test_norms_and_gates_are_its_own_and_the_weights_have_the_names_they_had() -> None:
    wrapped = PackedCausal(tiny_model())
    before = {name: weight.clone() for name, weight in wrapped.state_dict().items()}
    patch_with_liger(wrapped)
    for name, module in wrapped.named_modules():
        if type(module).__name__.endswith(("RMSNorm", "MLP")):
            assert module.forward.__func__.__module__.startswith("liger_kernel"), name
    after = wrapped.state_dict()
    assert before.keys() == after.keys()
    other = tiny_model()  # as a worker makes one on its CPU, once it has trained
    assert not [module for module in other.modules() if type(module).__module__.startswith("liger_kernel")]
    assert bool(PackedCausal(other)(portions()(0, 0).parts[0]).isfinite())
    assert all(torch.equal(before[name], weight) for name, weight in after.items())


@pytest.mark.skipif(not INSTALLED, reason="liger-kernel is not installed")
def test_a_model_that_it_has_nothing_for_is_refused() -> None:
    model = tiny_model()
    model.config.model_type = "gpt2"
    with pytest.raises(SettingError, match="no kernels for a model of the type gpt2"):
        patch_with_liger(PackedCausal(model))

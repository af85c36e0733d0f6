"""One step, in whatever parts and with whatever is saved of memory, is the same step."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from semconv.llm.compact import CompactModel
from semconv.llm.packed_causal import PackedCausal
from semconv.training.align import Inputs, alignment
from semconv.training.job import make_engine, run_job
from semconv.training.optim import parameter_groups
from tests.unit.training.tiny_inputs import tiny_align, write_inputs
from tests.unit.training.tiny_job import portions, same, tiny_job, tiny_model


@pytest.mark.parametrize("parts", [2, 3, 6])
def test_a_step_in_parts_is_the_whole_step(parts: int) -> None:
    whole, cut = make_engine(tiny_job(dropout=0.0)), make_engine(tiny_job(dropout=0.0))
    for step in range(3):
        one, many = portions()(0, step), portions(accumulate=parts)(0, step)
        assert (len(one.parts), len(many.parts)) == (1, min(parts, one.examples))
        first, second = whole.step(one.parts, 1e-2), cut.step(many.parts, 1e-2)
        assert float(second.loss) == pytest.approx(float(first.loss), abs=1e-5)
        assert float(second.norm) == pytest.approx(float(first.norm), rel=1e-4)
    assert same(whole.weights(), cut.weights(), within=1e-5)


def test_activations_computed_anew_give_the_same_weights_under_dropout() -> None:
    kept, anew = tiny_job(dropout=0.3, epochs=1), tiny_job(dropout=0.3, epochs=1, gradient_checkpointing=True)
    engine = make_engine(anew)
    with engine.evaluating() as model:
        assert model.model.is_activation_checkpointing
    assert same(run_job(kept, make_engine(kept)).weights, run_job(anew, engine).weights, within=1e-6)


def test_the_norm_is_that_of_the_gradient_before_it_is_clipped() -> None:
    model = PackedCausal(tiny_model())
    batch = replace(portions()(0, 0).parts[0], scale=1.0)
    model(batch).backward()
    by_hand = torch.stack([p.grad.norm() for p in model.parameters() if p.grad is not None]).norm()
    step = make_engine(tiny_job(dropout=0.0)).step([batch], 1e-3)
    assert float(step.norm) == pytest.approx(float(by_hand), rel=1e-5)
    assert float(step.norm) > 1


class NeverWaiting(TorchDispatchMode):
    """Refuses what makes Python wait for a GPU: a look at a value, or at a size that depends on values."""

    WAITS = frozenset(
        {"_local_scalar_dense", "is_nonzero", "item", "nonzero", "masked_select", "equal"}
        | {"_unique2", "unique_consecutive", "unique_dim", "repeat_interleave"}
    )

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        assert name not in self.WAITS, func
        if name.startswith("index") and len(args) > 1 and isinstance(args[1], list | tuple):
            assert all(index is None or index.dtype != torch.bool for index in args[1]), func
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("spelling", ["compact", "tokens"])
def test_a_step_looks_at_no_value(tmp_path: Path, spelling: str, monkeypatch: pytest.MonkeyPatch) -> None:
    job = alignment(write_inputs(tmp_path), tiny_align(spelling=spelling, engine="plain"), seed=0)
    engine, batches = make_engine(job), job.batches(0, 1)
    for step in range(2):
        portion = batches(0, step)
        with NeverWaiting(), monkeypatch.context() as patch:
            for name in ("tolist", "numpy", "cpu"):  # which a CPU's tensors do without a word to the dispatcher
                patch.setattr(torch.Tensor, name, None)
            taken = engine.step(portion.parts, 1e-3)
        assert float(taken.loss) > 0
    with NeverWaiting(), pytest.raises(AssertionError):
        float(taken.loss)


def test_decay_is_for_matrices_that_are_multiplied_by() -> None:
    decayed = _decayed(PackedCausal(tiny_model()))
    assert {name.rsplit(".", 2)[-2] for name in decayed} == {
        *("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
    }
    untied = _decayed(PackedCausal(tiny_model(tied=False)))
    assert untied - decayed == {"model.lm_head.weight"}


def test_the_compact_models_tables_of_codes_are_not_decayed(tmp_path_factory: pytest.TempPathFactory) -> None:
    inputs: Inputs = write_inputs(tmp_path_factory.mktemp("shop"))
    model = alignment(inputs, tiny_align(), seed=0).build()
    assert isinstance(model, CompactModel)
    decayed = _decayed(model)
    assert {"items.text.weight", "depth.up.weight", "depth.output.0.weight"} <= decayed
    assert not {"items.codes.0.weight", "items.special.weight", "depth.prefix.0.weight", "depth.level.weight"} & decayed
    assert not any("norm" in name or name.endswith("bias") for name in decayed)


def _decayed(model: torch.nn.Module) -> set[str]:
    groups = parameter_groups(model, 0.1)
    ids = {id(p) for group in groups if group["weight_decay"] for p in group["params"]}
    assert sum(len(group["params"]) for group in groups) == len(list(model.parameters()))
    return {name for name, parameter in model.named_parameters() if id(parameter) in ids}

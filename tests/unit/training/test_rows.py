"""LoRA with the code tokens' rows, and rows trained before the rest."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from semconv.config import AlignSettings
from semconv.llm.lora import merge_lora
from semconv.llm.packed_causal import PackedCausal
from semconv.training.adapt import adapt
from semconv.training.job import make_engine, run_job
from semconv.training.plain import put_weights
from tests.unit.training.tiny_job import ROWS, VOCABULARY, same, tiny_job, tiny_model

LORA = AlignSettings(spelling="tokens", method="lora")
WARM = AlignSettings(spelling="tokens", warm_rows=4)
OTHERS = torch.ones(VOCABULARY, dtype=torch.bool).index_fill(0, ROWS, False)
EMBEDDING = "model.model.embed_tokens.weight"


def _lora(wrapped: PackedCausal) -> None:
    adapt(wrapped, ROWS, LORA)


def test_updates_start_as_nothing() -> None:
    ids = torch.arange(12)[None]
    wrapped = PackedCausal(tiny_model())
    _lora(wrapped)
    with torch.no_grad():
        assert torch.equal(wrapped.model(input_ids=ids).logits, tiny_model()(input_ids=ids).logits)


@pytest.mark.parametrize("tied", [True, False])
def test_lora_trains_its_updates_and_the_rows_of_codes_alone(tied: bool) -> None:
    def wrapped() -> PackedCausal:
        torch.manual_seed(0)
        model = PackedCausal(tiny_model(tied=tied))
        _lora(model)
        return model

    job = tiny_job(epochs=1)
    job = type(job)(**{**vars(job), "build": wrapped})
    before = {name: p.detach().clone() for name, p in wrapped().named_parameters()}
    engine = make_engine(job)
    run_job(job, engine)
    tables = {EMBEDDING} if tied else {EMBEDDING, "model.lm_head.weight"}
    with engine.evaluating() as model:
        for name, parameter in model.named_parameters():
            changed = (parameter != before[name]).any(-1)
            if name in tables:
                assert changed[ROWS].all()
                assert not changed[OTHERS].any()
            else:
                assert changed.any() == ("lora_" in name), name
    assert all("lora_" in name or name in tables for name in engine.weights())


def test_merged_it_is_a_plain_model_that_says_the_same(tmp_path: Path) -> None:
    job = tiny_job(epochs=2, dropout=0.0, wrap=_lora)
    engine = make_engine(job)
    trained = run_job(job, engine)
    exported = job.build().eval()
    assert isinstance(exported, PackedCausal)
    put_weights(exported, trained.weights)
    ids = torch.arange(VOCABULARY)[None]
    with torch.no_grad(), engine.evaluating() as model:
        said = model.model(input_ids=ids).logits
        merge_lora(exported.model)
        exported.model.save_pretrained(tmp_path)
        plain = AutoModelForCausalLM.from_pretrained(tmp_path)
        assert torch.allclose(plain(input_ids=ids).logits, said, atol=1e-5)
        assert not torch.allclose(said, tiny_model()(input_ids=ids).logits, atol=1e-2)
    assert plain.state_dict().keys() == tiny_model().state_dict().keys()


def test_rows_are_warmed_up_before_anything_else_moves() -> None:
    job = tiny_job(epochs=3, dropout=0.0, warm_rows=4, wrap=lambda wrapped: adapt(wrapped, ROWS, WARM))
    batches, engine = job.batches(0, 1), make_engine(job)
    before = engine.weights()
    for step in range(4):
        engine.step(batches(0, step).parts, 1e-2, rows_alone=True)
    warm = engine.weights()
    changed = {name for name in before if not torch.equal(warm[name], before[name])}
    assert changed == {EMBEDDING}
    assert torch.equal(warm[EMBEDDING][OTHERS], before[EMBEDDING][OTHERS])
    assert (warm[EMBEDDING] != before[EMBEDDING])[ROWS].any(1).all()
    engine.step(batches(1, 0).parts, 1e-2)
    after = engine.weights()
    assert all(not torch.equal(after[name], warm[name]) for name in after)


def test_the_loop_warms_rows_up_for_as_many_steps_as_planned() -> None:
    job = tiny_job(epochs=1, dropout=0.0, warm_rows=4, wrap=lambda wrapped: adapt(wrapped, ROWS, WARM))
    assert job.batches(0, 1).steps == 4
    untouched = make_engine(job).weights()
    trained = run_job(job, make_engine(job)).weights
    assert {name for name in trained if not torch.equal(trained[name], untouched[name])} == {EMBEDDING}


def test_a_resumed_lora_ends_with_the_same_weights(tmp_path: Path) -> None:
    job = tiny_job(wrap=_lora)
    whole = run_job(job, make_engine(job))
    kept: list[Path] = []

    def keep(write: object, step: int) -> None:
        kept.append(tmp_path / str(step))
        kept[-1].mkdir()
        write(kept[-1])  # type: ignore[operator]

    run_job(job, make_engine(job), checkpoint=keep)
    assert same(run_job(job, make_engine(job), resume=kept[1]).weights, whole.weights)

"""Both spellings, from artifacts to a finished model: they learn, they export, they can be resumed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoModelForCausalLM, AutoTokenizer

from semconv.errors import ResourceError
from semconv.llm.compact import CompactModel
from semconv.llm.search import beam_search
from semconv.llm.trie import Trie
from semconv.training.align import Inputs, alignment
from semconv.training.job import make_engine, run_job
from semconv.training.loop import Trained
from tests.unit.training.tiny_inputs import CODES, ITEM_COUNT, LEVELS, ring_walks, tiny_align, write_inputs


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    return write_inputs(tmp_path_factory.mktemp("shop"))


def _keep_in(root: Path, stop_after: int) -> Callable[[Callable[[Path], None], int], None]:
    """A checkpoint callback that keeps every checkpoint, and at one step ends the run as a crash would."""

    def checkpoint(write: Callable[[Path], None], step: int) -> None:
        folder = root / str(step)
        folder.mkdir()
        write(folder)
        if step == stop_after:
            raise KeyboardInterrupt

    return checkpoint


@pytest.mark.parametrize("spelling", ["compact", "tokens"])
def test_a_resumed_run_ends_with_the_same_weights(inputs: Inputs, tmp_path: Path, spelling: str) -> None:
    job = alignment(inputs, tiny_align(spelling=spelling), seed=5)
    whole = run_job(job, make_engine(job))
    with pytest.raises(KeyboardInterrupt):
        run_job(job, make_engine(job), checkpoint=_keep_in(tmp_path, stop_after=9))
    resumed = run_job(job, make_engine(job), resume=tmp_path / "9")
    assert resumed.curves == whole.curves
    assert whole.weights.keys() == resumed.weights.keys()
    assert all(torch.equal(whole.weights[name], resumed.weights[name]) for name in whole.weights)


def test_compact_learns_the_ring_and_its_export_recommends(inputs: Inputs, tmp_path: Path) -> None:
    job = alignment(inputs, tiny_align(epochs=14), seed=5)
    trained = run_job(job, make_engine(job))
    assert trained.curves[-1]["loss"] < 0.7 * trained.curves[0]["loss"]
    assert max(point.get("recall@10", 0) for point in trained.curves) > 0.6
    job.export(trained, tmp_path)
    assert json.loads((tmp_path / "semconv.json").read_text())["spelling"] == "compact"
    assert json.loads((tmp_path / "curves.json").read_text()) == trained.curves
    model = CompactModel.load(tmp_path, inputs.tokens.codes, inputs.vectors)
    trie = Trie.build(inputs.tokens.codes, CODES)
    found = beam_search(model, trie, [np.asarray([5, 6, 7], np.int32), np.zeros(0, np.int32)], k=10, beams=20)
    assert 8 in found.items[0]
    assert AutoModel.from_pretrained(tmp_path / "backbone").config.hidden_size == 32


def test_token_spelling_is_exported_for_plain_transformers(inputs: Inputs, tmp_path: Path) -> None:
    settings = tiny_align(
        spelling="tokens",
        epochs=48,
        validate_every=48,
        batch_size=8,
        learning_rate=5e-3,
        dropout=0.0,
        tasks={"textual": 0.0},
    )
    job = alignment(inputs, settings, seed=5)
    trained = run_job(job, make_engine(job))
    assert trained.curves[-1]["loss"] < 0.7 * trained.curves[0]["loss"]
    job.export(trained, tmp_path)
    assert _said_after(tmp_path, [6, 7]) == _codes(8)


def test_lora_is_exported_for_plain_transformers_too(inputs: Inputs, tmp_path: Path) -> None:
    settings = tiny_align(spelling="tokens", method="lora", epochs=12, validate_every=12, learning_rate=1e-2)
    job = alignment(inputs, settings, seed=5)
    engine = make_engine(job)
    trained = run_job(job, engine)
    assert trained.curves[-1]["loss"] < 0.6 * trained.curves[0]["loss"]
    job.export(trained, tmp_path)
    plain, ids = AutoModelForCausalLM.from_pretrained(tmp_path), torch.arange(290, 310)[None]
    assert not any("lora" in name for name, _ in plain.named_parameters())
    with torch.no_grad(), engine.evaluating() as model:
        assert torch.allclose(plain(input_ids=ids).logits, model.model(input_ids=ids).logits, atol=1e-4)
    assert re.fullmatch(r"(<[abc]_\d>){3}", _said_after(tmp_path, [6, 7]))


def _codes(item: int) -> str:
    return "".join(f"<{'abc'[level]}_{item // CODES**level % CODES}>" for level in range(LEVELS))


def _said_after(folder: Path, history: list[int]) -> str:
    """What plain transformers generates from a token model, with nothing of ours."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    prompt = tokenizer("Items so far, oldest first: " + "".join(map(_codes, history)), return_tensors="pt")
    answer = model.generate(**prompt, max_new_tokens=LEVELS, do_sample=False)[0, -LEVELS:]
    said: str = tokenizer.decode(answer).replace(" ", "")
    return said


@pytest.mark.parametrize("end", [True, False])
def test_a_pretrained_model_without_a_pad_token_is_taken(tmp_path: Path, end: bool) -> None:
    inputs = write_inputs(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(inputs.base.path)
    tokenizer.pad_token = None
    if not end:
        tokenizer.eos_token = None
    tokenizer.save_pretrained(inputs.base.path)
    assert AutoTokenizer.from_pretrained(inputs.base.path).pad_token is None
    job = alignment(inputs, tiny_align(spelling="tokens", epochs=1), seed=5)
    job.export(run_job(job, make_engine(job)), tmp_path)
    exported = AutoTokenizer.from_pretrained(tmp_path)
    assert exported.pad_token == ("<|endoftext|>" if end else "<pad>")
    assert AutoModelForCausalLM.from_pretrained(tmp_path).config.pad_token_id == exported.pad_token_id
    assert _said_after(tmp_path, [6, 7])


def test_validation_and_test_items_change_no_training_example(tmp_path: Path) -> None:
    walks = ring_walks(users=20)
    other = [[*walk[:-2], (walk[-2] + 9) % ITEM_COUNT, (walk[-1] + 13) % ITEM_COUNT] for walk in walks]
    for spelling in ("compact", "tokens"):
        first, second = (
            alignment(write_inputs(tmp_path / f"{spelling}{n}", given), tiny_align(spelling=spelling), seed=5)
            for n, given in enumerate((walks, other))
        )
        one, two = first.batches(0, 1), second.batches(0, 1)
        assert one.steps == two.steps
        for step in range(one.steps):
            left, right = vars(one(1, step).parts[0]), vars(two(1, step).parts[0])
            assert all(torch.equal(torch.as_tensor(left[name]), torch.as_tensor(right[name])) for name in left)


def test_a_loss_that_is_not_a_number_is_one_clear_error(inputs: Inputs) -> None:
    job = alignment(inputs, tiny_align(learning_rate=1e30), seed=5)
    with pytest.raises(ResourceError, match="loss stopped being a number"):
        run_job(job, make_engine(job))


def test_training_stops_when_validation_no_longer_improves_and_keeps_the_best(inputs: Inputs) -> None:
    job = alignment(inputs, tiny_align(learning_rate=1e-12, epochs=50, validate_every=1, patience=2), seed=5)
    trained: Trained = run_job(job, make_engine(job))
    assert len(trained.curves) == 3
    untouched = dict(job.build().named_parameters())
    assert all(torch.allclose(weight, untouched[name], atol=1e-4) for name, weight in trained.weights.items())

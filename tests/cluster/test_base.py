"""base on Ray Train: a small model pretrained on the catalogue's text, or a pretrained one taken over."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GPT2Config, GPT2LMHeadModel

import pipelines.base
from pipelines.stage import run_stages
from semconv.artifacts import BaseModel
from semconv.config import BaseSettings, RaySettings, RunSettings, Settings
from semconv.errors import ArtifactError
from semconv.llm.small import train_tokenizer
from tests.unit.training.tiny_inputs import BASE, ring_walks, title_of, write_corpus


def _settings(root: Path, base: BaseSettings) -> Settings:
    return Settings(run=RunSettings(root=str(root), name="r"), ray=RaySettings(threads=1), base=base)


def test_a_small_model_learns_the_catalogues_text(tmp_path: Path) -> None:
    write_corpus(tmp_path / "r" / "corpus", ring_walks())
    base = BASE.model_copy(update={"epochs": 12, "batch_tokens": 256, "learning_rate": 1e-2})
    run_stages(_settings(tmp_path, base), [pipelines.base.STAGE])
    folder = BaseModel.open(tmp_path / "r" / "base").path
    curves = json.loads((folder / "curves.json").read_text())
    assert curves[-1]["loss"] < 0.75 * curves[0]["loss"]
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder)
    asked = tokenizer(title_of(7), return_tensors="pt")
    with torch.no_grad():
        loss = float(model(**asked, labels=asked["input_ids"]).loss)
    assert loss < 0.75 * curves[0]["loss"]


def test_a_pretrained_model_is_taken_over_with_its_weights(tmp_path: Path) -> None:
    write_corpus(tmp_path / "r" / "corpus", ring_walks())
    source = tmp_path / "gpt2"
    tokenizer = train_tokenizer(["soap"], 300)
    torch.manual_seed(0)
    model = GPT2LMHeadModel(GPT2Config(vocab_size=len(tokenizer), n_embd=16, n_layer=1, n_head=2, n_positions=64))
    model.save_pretrained(source)
    tokenizer.save_pretrained(source)
    run_stages(_settings(tmp_path, BaseSettings(model=str(source))), [pipelines.base.STAGE])
    taken = AutoModelForCausalLM.from_pretrained(BaseModel.open(tmp_path / "r" / "base").path)
    assert torch.equal(taken.get_input_embeddings().weight, model.get_input_embeddings().weight)


def test_a_base_that_cannot_be_read_is_one_clear_error(tmp_path: Path) -> None:
    write_corpus(tmp_path / "r" / "corpus", ring_walks())
    with pytest.raises(ArtifactError, match=r"could be read from '.*nowhere'.*base\.model"):
        run_stages(_settings(tmp_path, BaseSettings(model=str(tmp_path / "nowhere"))), [pipelines.base.STAGE])
    assert not (tmp_path / "r" / "base").exists()

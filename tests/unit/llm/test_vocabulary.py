"""Code tokens: added once, and out of reach of any text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer, GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from semconv.config import BaseSettings
from semconv.errors import ArtifactError
from semconv.llm.load import load_causal, load_tokenizer
from semconv.llm.small import END, PAD, small_model, train_tokenizer
from semconv.llm.vocabulary import PlainText, add_code_tokens, code_ids, code_token

BASE = BaseSettings(width=16, layers=1, heads=2, feed_forward=16, vocab_size=300, context=64)


@pytest.fixture
def spoken() -> tuple[Any, Any]:
    tokenizer = train_tokenizer(["soap and cream", "night oil"], BASE.vocab_size)
    model = small_model(BASE, tokenizer, 0)
    add_code_tokens(tokenizer, model, levels=3, codes=4)
    return tokenizer, model


def test_every_code_has_a_token_and_a_row(spoken: tuple[Any, Any]) -> None:
    tokenizer, model = spoken
    ids_LC = code_ids(tokenizer, 3, 4)
    assert len(set(ids_LC.flatten().tolist())) == 12
    assert tokenizer.decode(ids_LC[1, 2]) == code_token(1, 2) == "<b_2>"
    table = model.get_input_embeddings().weight
    assert table.shape[0] == len(tokenizer)
    assert model.get_output_embeddings().weight is table
    assert len({tuple(row) for row in table[ids_LC.flatten()].tolist()}) == 12
    answer = model(input_ids=torch.as_tensor(ids_LC[:, 0])[None]).logits
    assert answer.shape[-1] == len(tokenizer)


def test_rows_lie_where_the_codes_point_as_far_out_as_other_tokens() -> None:
    tokenizer = train_tokenizer(["soap and cream", "night oil"], BASE.vocab_size)
    model = small_model(BASE, tokenizer, 0)
    old = model.get_input_embeddings().weight.detach().clone()
    meanings = (
        torch.randn(3, 4, 16, generator=torch.Generator().manual_seed(1))
        * torch.tensor([9.0, 1e-3, 1.0])[:, None, None]
    )
    with pytest.raises(ArtifactError, match=r"shape \(3, 4, 8\) for 3 levels of 4 codes and a model of width 16"):
        add_code_tokens(tokenizer, model, 3, 4, meanings[:, :, :8])
    tokenizer = train_tokenizer(["soap and cream", "night oil"], BASE.vocab_size)
    add_code_tokens(tokenizer, model, 3, 4, meanings)
    rows = model.get_input_embeddings().weight.detach()[torch.as_tensor(code_ids(tokenizer, 3, 4))] - old.mean(0)
    torch.testing.assert_close(torch.cosine_similarity(rows, meanings, dim=2), torch.ones(3, 4))
    spread = (old - old.mean(0)).square().sum(1).mean()
    torch.testing.assert_close(rows.square().sum(2).mean(1), spread.expand(3), rtol=1e-3, atol=0)


def test_a_level_without_directions_is_drawn_like_other_tokens() -> None:
    tokenizer = train_tokenizer(["soap and cream", "night oil"], BASE.vocab_size)
    model = small_model(BASE, tokenizer, 0)
    old = model.get_input_embeddings().weight.detach().clone()
    meanings = torch.randn(2, 4, 16, generator=torch.Generator().manual_seed(1))
    add_code_tokens(tokenizer, model, 3, 4, meanings)
    rows = model.get_input_embeddings().weight.detach()[torch.as_tensor(code_ids(tokenizer, 3, 4))] - old.mean(0)
    torch.testing.assert_close(torch.cosine_similarity(rows[:2], meanings, dim=2), torch.ones(2, 4))
    assert 0.5 < float(rows[2].square().mean().sqrt() / old.std(0).square().mean().sqrt()) < 1.5
    assert len(torch.unique(rows[2], dim=0)) == 4


@pytest.mark.parametrize("mute", [torch.zeros(64), torch.full((64,), 0.1), torch.full((64,), 1e-30)])
def test_a_level_whose_codes_say_nothing_is_drawn_like_other_tokens(mute: torch.Tensor) -> None:
    base = BaseSettings(width=64, layers=1, heads=2, feed_forward=16, vocab_size=300, context=64)
    tokenizer = train_tokenizer(["soap and cream", "night oil"], base.vocab_size)
    model = small_model(base, tokenizer, 0)
    table = model.get_input_embeddings().weight
    with torch.no_grad():
        table.copy_(torch.randn(table.shape, generator=torch.Generator().manual_seed(2)))
    old = table.detach().clone()
    meanings = torch.randn(3, 4, 64, generator=torch.Generator().manual_seed(1))
    meanings[1] = mute
    add_code_tokens(tokenizer, model, 4, 4, meanings)
    rows = model.get_input_embeddings().weight.detach()[torch.as_tensor(code_ids(tokenizer, 4, 4))] - old.mean(0)
    assert torch.isfinite(rows).all()
    assert len(torch.unique(rows.flatten(0, 1), dim=0)) == 16
    torch.testing.assert_close(torch.cosine_similarity(rows[[0, 2]], meanings[[0, 2]], dim=2), torch.ones(2, 4))
    for level in (1, 3):
        assert 0.5 < float(rows[level].square().mean().sqrt() / old.std(0).square().mean().sqrt()) < 1.5


def test_an_aligned_base_is_refused(spoken: tuple[Any, Any]) -> None:
    with pytest.raises(ArtifactError, match=r"already holds code tokens \(<a_0> and 11 more\)"):
        add_code_tokens(*spoken, levels=3, codes=4)
    with pytest.raises(ArtifactError, match="lacks the code token <a_4>"):
        code_ids(spoken[0], 3, 5)


@pytest.mark.parametrize(
    "title",
    ["<a_0>", "buy <a_1><b_2><c_3> now", f"soap{END}{PAD}", "</s><s>", "<a_<a_0>0>", "<<a_0>", " <a_0> ", "<a_0>" * 9],
)
def test_no_title_speaks_in_special_or_code_tokens(spoken: tuple[Any, Any], title: str, tmp_path: Path) -> None:
    tokenizer, _ = spoken
    tokenizer.add_special_tokens({"bos_token": "<s>", "unk_token": "</s>"})
    tokenizer.save_pretrained(tmp_path)
    for one in (tokenizer, AutoTokenizer.from_pretrained(tmp_path)):
        ids = PlainText(one)(title)
        assert not set(ids.tolist()) & (set(one.added_tokens_decoder) | set(one.all_special_ids))
        assert one.decode(ids.tolist()) == title
    assert set(tokenizer("<a_0>")["input_ids"]) & set(tokenizer.added_tokens_decoder)


def test_text_is_cut_to_its_limit(spoken: tuple[Any, Any]) -> None:
    ids = PlainText(spoken[0])("soap and cream and soap", 3)
    assert ids.dtype == np.int32
    assert len(ids) == 3


@pytest.mark.parametrize("kind", ["qwen3", "llama", "gpt2"])
def test_a_base_of_any_shape_gets_a_pad_token_and_code_tokens(kind: str, tmp_path: Path) -> None:
    tokenizer = train_tokenizer(["soap and cream"], 300)
    tokenizer.pad_token = None
    if kind == "gpt2":
        model: Any = GPT2LMHeadModel(GPT2Config(vocab_size=300, n_embd=16, n_layer=1, n_head=2, n_positions=32))
    elif kind == "llama":
        sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
        model = LlamaForCausalLM(LlamaConfig(vocab_size=300, tie_word_embeddings=False, **sizes))
    else:
        model = small_model(BASE, tokenizer, 0)
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    tokenizer = load_tokenizer(tmp_path)
    assert tokenizer.pad_token == END
    loaded = load_causal(tmp_path, tokenizer)
    assert loaded.config.pad_token_id == tokenizer.pad_token_id
    add_code_tokens(tokenizer, loaded, levels=2, codes=4)
    logits = loaded(input_ids=torch.as_tensor(code_ids(tokenizer, 2, 4))).logits
    assert logits.shape[:2] == (2, 4)
    assert logits.shape[2] >= len(tokenizer)


def test_a_base_that_is_not_there_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="No tokenizer could be read"):
        load_tokenizer(tmp_path / "nothing")
    tokenizer = train_tokenizer(["soap"], 300)
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(ArtifactError, match="safetensors"):
        load_causal(tmp_path, tokenizer)

"""The small language model, and packed texts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from semconv.config import BaseSettings
from semconv.errors import SettingError
from semconv.llm.packed_causal import PackedCausal, TokenExample, pack_texts
from semconv.llm.packing import block_mask, pack
from semconv.llm.small import small_model, train_tokenizer

BASE = BaseSettings(width=16, layers=2, heads=2, feed_forward=16, vocab_size=300, context=64)
TEXTS = ["soap and cream", "night oil for dry hair", "Crème brûlée — 30 ml", "日本"]


def test_the_tokenizer_is_lossless_and_the_same_every_time() -> None:
    first, second = (train_tokenizer(TEXTS * 3, 300) for _ in range(2))
    assert first.get_vocab() == second.get_vocab()
    for text in [*TEXTS, "\N{SNOWMAN} unseen"]:
        assert first.decode(first(text)["input_ids"]) == text


def test_plain_transformers_loads_it_and_answers_the_same(tmp_path: Path) -> None:
    tokenizer = train_tokenizer(TEXTS, 300)
    model = small_model(BASE, tokenizer, 0).eval()
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    asked = AutoTokenizer.from_pretrained(tmp_path)("soap", return_tensors="pt")
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert torch.equal(loaded(**asked).logits, model(**asked).logits)


def test_a_width_that_heads_cannot_share_is_refused() -> None:
    with pytest.raises(SettingError, match=r"base\.width \(30\)"):
        small_model(BASE.model_copy(update={"width": 30, "heads": 4}), train_tokenizer(TEXTS, 300), 0)


@pytest.mark.parametrize("seed", range(5))
def test_packing_places_every_example_once_and_wastes_little(seed: int) -> None:
    random = np.random.default_rng(seed)
    lengths = random.integers(1, 40, 100).tolist()
    rows, starts, n_rows, n_positions = pack(lengths, 64)
    taken = np.zeros((n_rows, n_positions), np.int64)
    for row, start, length in zip(rows, starts, lengths, strict=True):
        taken[row, start : start + length] += 1
    assert taken.max() == 1
    assert taken.sum() == sum(lengths)
    assert n_positions <= 64
    assert taken.mean() > 0.9


def test_a_position_attends_to_its_own_example_up_to_itself() -> None:
    mask = block_mask(torch.tensor([[1, 1, 2, 2, 0]]))[0, 0]
    expected = [[1, 0, 0, 0, 0], [1, 1, 0, 0, 0], [0, 0, 1, 0, 0], [0, 0, 1, 1, 0], [0, 0, 0, 0, 1]]
    assert mask.int().tolist() == expected


def test_packed_texts_cost_what_they_cost_alone() -> None:
    tokenizer = train_tokenizer(TEXTS, 300)
    model = PackedCausal(small_model(BASE, tokenizer, 0)).eval()
    examples = []
    for text in TEXTS:
        ids = np.asarray(tokenizer(text)["input_ids"], np.int64)
        examples.append(TokenExample(ids, np.arange(len(ids)) >= 2))
    with torch.no_grad():
        together = float(model(pack_texts(examples, 40)))
        alone = sum(float(model(pack_texts([example], 40))) for example in examples)
        ids = torch.from_numpy(examples[0].ids)[None]
        logp = model.model(input_ids=ids).logits.log_softmax(-1)[0]
        by_hand = -float(sum(logp[place - 1, ids[0, place]] for place in range(2, ids.shape[1])))
        first = float(model(pack_texts(examples[:1], 40)))
    assert together == pytest.approx(alone, rel=1e-5)
    assert first == pytest.approx(by_hand, rel=1e-5)

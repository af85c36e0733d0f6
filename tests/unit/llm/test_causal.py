"""The token spelling: what goes in comes out as it should, whatever the batch, the padding and the model's settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from spelling import WORDS, Spelling, language_model
from transformers import AutoModelForCausalLM, GenerationConfig

from semconv.errors import ArtifactError, InputError, SemconvError
from semconv.llm import code_head, prompt_cache
from semconv.llm.causal import CausalBeamModel, unpadded
from semconv.llm.search import Scoring, beam_search
from semconv.llm.trie import Trie


@pytest.fixture
def small() -> tuple[Spelling, Any, Trie]:
    rows = np.random.default_rng(0).integers(0, 6, (40, 3)).astype(np.int32)
    spelling = Spelling(rows, 6)
    return spelling, language_model("qwen3", spelling.vocabulary), Trie.build(rows, 6)


@pytest.mark.parametrize("scoring", ["full", "legal"])
def test_a_users_answer_does_not_depend_on_the_batch(small: Any, scoring: Scoring) -> None:
    spelling, model, trie = small
    beam_model = spelling.beam_model(model)
    histories = [np.arange(length, dtype=np.int32) for length in (0, 4, 9)]
    together = beam_search(beam_model, trie, histories, 10, 10, scoring)
    for user, history in enumerate(histories):
        alone = beam_search(beam_model, trie, [history], 10, 10, scoring)
        np.testing.assert_allclose(together.scores[user], alone.scores[0], atol=1e-5)
        assert together.items[user].tolist() == alone.items[0].tolist()


@pytest.mark.parametrize("shape", ["qwen3", "phi"])
def test_reading_in_several_passes_and_slices_changes_nothing(
    small: Any, shape: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    spelling, _, trie = small
    beam_model = spelling.beam_model(language_model(shape, spelling.vocabulary))
    histories = [np.arange(length, dtype=np.int32) for length in (0, 4, 9, 2, 2, 30)]
    whole = beam_search(beam_model, trie, histories, 10, 10)
    monkeypatch.setitem(prompt_cache.READ_TOKENS, "cpu", 20)
    monkeypatch.setitem(code_head.LOGITS, "cpu", 64)
    parts = beam_search(beam_model, trie, histories, 10, 10)
    np.testing.assert_array_equal(whole.items, parts.items)
    np.testing.assert_allclose(whole.scores, parts.scores, atol=1e-5)


def test_a_common_opening_is_read_once(small: Any) -> None:
    spelling, model, trie = small
    spelled = Spelling(spelling.rows, spelling.codes, opening=tuple(range(1, 10)) * 3)
    histories = [np.arange(length, dtype=np.int32) for length in (0, 4, 9)]
    read: list[int] = []
    hook = model.get_input_embeddings().register_forward_hook(lambda _m, given, _o: read.append(given[0].numel()))
    beam_model = spelled.beam_model(model)
    read.clear()
    together = beam_search(beam_model, trie, histories, 10, 10)
    hook.remove()
    assert read[0] == 26  # each prompt keeps its last common token to itself
    assert read[1] == sum(1 + 3 * len(history) for history in histories)
    for user, history in enumerate(histories):
        alone = beam_search(beam_model, trie, [history], 10, 10)
        np.testing.assert_allclose(together.scores[user], alone.scores[0], atol=1e-5)


@pytest.mark.parametrize("side", ["left", "right"])
def test_padded_prompts_are_what_their_texts_are(small: Any, side: str) -> None:
    spelling, model, trie = small
    prompts = [spelling.prompt(np.arange(length)) for length in (0, 4, 9)]
    longest = max(map(len, prompts))
    pads = [[0] * (longest - len(prompt)) for prompt in prompts]
    rows = [pad + p if side == "left" else p + pad for pad, p in zip(pads, prompts, strict=True)]
    ones = [[1] * len(prompt) for prompt in prompts]
    masks = [pad + o if side == "left" else o + pad for pad, o in zip(pads, ones, strict=True)]
    texts = unpadded(torch.tensor(rows), torch.tensor(masks))
    assert [text.tolist() for text in texts] == prompts
    taken = CausalBeamModel(model, spelling.tokens_LC, lambda prompt: prompt)
    given = beam_search(taken, trie, texts, 10, 10)
    said = beam_search(
        spelling.beam_model(model), trie, [np.arange(length, dtype=np.int32) for length in (0, 4, 9)], 10, 10
    )
    np.testing.assert_array_equal(given.items, said.items)
    np.testing.assert_array_equal(given.scores, said.scores)


def test_generation_settings_do_not_leak_in(small: Any, tmp_path: Path) -> None:
    spelling, model, trie = small
    histories = [np.arange(4, dtype=np.int32)]
    model.save_pretrained(tmp_path / "plain")
    model.generation_config = GenerationConfig(
        temperature=5.0, top_k=2, repetition_penalty=9.0, do_sample=True, length_penalty=3.0, num_beams=3
    )
    model.save_pretrained(tmp_path / "odd")
    assert "repetition_penalty" in (tmp_path / "odd" / "generation_config.json").read_text()
    plain, odd = (
        beam_search(
            spelling.beam_model(AutoModelForCausalLM.from_pretrained(tmp_path / name).eval()), trie, histories, 10, 10
        )
        for name in ("plain", "odd")
    )
    np.testing.assert_array_equal(plain.items, odd.items)
    np.testing.assert_array_equal(plain.scores, odd.scores)


def test_the_model_is_left_as_it_was(small: Any) -> None:
    spelling, model, trie = small
    before = model.config._attn_implementation
    ids = torch.tensor([[4, 5, 6, 7]])
    plain = model(input_ids=ids).logits
    beam_search(spelling.beam_model(model), trie, [np.arange(4, dtype=np.int32)], 10, 10)
    assert model.config._attn_implementation == before
    assert torch.equal(model(input_ids=ids).logits, plain)


def test_bf16_ranks_much_as_float32_does(small: Any) -> None:
    spelling, model, trie = small
    histories = [np.arange(length, dtype=np.int32) for length in (0, 4, 9)]
    exact = beam_search(spelling.beam_model(model), trie, histories, 40, 40, "legal")
    rounded = beam_search(spelling.beam_model(model.bfloat16()), trie, histories, 40, 40, "legal")
    for user in range(3):
        near = dict(zip(exact.items[user].tolist(), exact.scores[user].tolist(), strict=True))
        far = [abs(near[item] - s) for item, s in zip(rounded.items[user].tolist(), rounded.scores[user], strict=True)]
        assert max(far) < 1.0
        assert np.median(far) < 0.2


def test_prompts_that_cannot_be_read_are_refused(small: Any) -> None:
    spelling, model, trie = small
    with pytest.raises(InputError, match="no room for 3 codes: the model reads 94 at most"):
        beam_search(spelling.beam_model(model), trie, [np.zeros(32, np.int32)], 3, 3)
    with pytest.raises(InputError, match="no token"):
        beam_search(CausalBeamModel(model, spelling.tokens_LC, lambda _: []), trie, [np.zeros(1, np.int32)], 3, 3)


def test_a_prompt_longer_than_the_attention_window_is_refused(small: Any) -> None:
    spelling, _, trie = small
    beam_model = spelling.beam_model(language_model("mistral", spelling.vocabulary))
    assert beam_search(beam_model, trie, [np.zeros(0, np.int32)], 2, 2).items.shape == (1, 2)
    with pytest.raises(InputError, match="looks back 8 tokens"):
        beam_search(beam_model, trie, [np.zeros(5, np.int32)], 2, 2)


@pytest.mark.parametrize("shape", ["gemma2", "bloom"])
def test_a_model_that_shared_prompts_would_change_is_refused(small: Any, shape: str) -> None:
    spelling, _, _ = small
    with pytest.raises(ArtifactError, match="Qwen3, Llama or GPT-2"):
        spelling.beam_model(language_model(shape, spelling.vocabulary))


def test_a_model_without_the_code_tokens_is_refused(small: Any) -> None:
    spelling, model, _ = small
    with pytest.raises(ArtifactError, match="Code tokens reach"):
        CausalBeamModel(model, spelling.tokens_LC + 1, spelling.prompt)


def test_a_broken_model_is_an_error(small: Any) -> None:
    spelling, model, trie = small
    with torch.no_grad():
        model.lm_head.weight[WORDS] = torch.nan
    with pytest.raises(SemconvError, match="NaN"):
        beam_search(spelling.beam_model(model), trie, [np.zeros(1, np.int32)], 3, 3)

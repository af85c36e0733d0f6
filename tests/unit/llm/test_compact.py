"""The compact model: what the search reads is what was trained, packing is invisible, a saved model is the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F
from transformers import GPT2Config, GPT2Model, LlamaConfig, LlamaModel, PreTrainedModel, Qwen3Config, Qwen3Model

from semconv.artifacts import ItemVectors, finish
from semconv.artifacts.ragged import Int32
from semconv.errors import ArtifactError
from semconv.llm import item_head
from semconv.llm.compact import CompactModel, CompactShape
from semconv.llm.compact_batch import NOTHING, CompactExample, pack_examples
from semconv.llm.protocol import Extended
from semconv.llm.search import beam_search
from semconv.llm.small import train_tokenizer
from semconv.llm.trie import Trie

ITEMS, LEVELS, CODES = 30, 3, 5
NO_WORDS = np.zeros(0, np.int32)
SHAPE = CompactShape(
    levels=LEVELS, codes=CODES, text_width=7, behaviour_width=4, depth_width=12, max_history=12, item_head=True
)


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> tuple[Int32, ItemVectors]:
    folder = tmp_path_factory.mktemp("vectors")
    generator = torch.Generator().manual_seed(0)
    known = torch.arange(ITEMS) % 5 != 0
    ItemVectors.write(
        folder,
        text=torch.randn(ITEMS, 7, generator=generator),
        behaviour=torch.randn(ITEMS, 4, generator=generator) * known[:, None],
        has_text=torch.ones(ITEMS, dtype=torch.bool),
        has_behaviour=known,
    )
    finish(folder, "vectors", settings={}, inputs={}, counts={}, request="t", seconds=0)
    codes = np.random.default_rng(0).integers(0, CODES, (ITEMS, LEVELS)).astype(np.int32)
    return codes, ItemVectors.open(folder)


def backbone(kind: str = "qwen3") -> PreTrainedModel:
    torch.manual_seed(1)
    if kind == "gpt2":
        return GPT2Model(GPT2Config(vocab_size=300, n_embd=16, n_layer=2, n_head=2, n_positions=64))
    sizes = {
        "vocab_size": 300,
        "hidden_size": 16,
        "intermediate_size": 24,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "max_position_embeddings": 64,
    }
    if kind == "llama":
        return LlamaModel(LlamaConfig(**sizes))
    attention = "eager" if kind == "eager" else "sdpa"
    return Qwen3Model(Qwen3Config(head_dim=8, attn_implementation=attention, **sizes))


def compact(
    catalogue: tuple[Int32, ItemVectors], kind: str = "qwen3", shape: CompactShape = SHAPE, **options: float
) -> CompactModel:
    body = backbone(kind)
    torch.manual_seed(2)
    model = CompactModel(body, train_tokenizer(["soap and cream"], 300), shape, **options)
    model.attach(*catalogue)
    return model.eval()


def first(model: CompactModel, histories: list[Int32], words: list[Int32] | None = None) -> torch.Tensor:
    """Scores of the first code, (B, C)."""
    return model.start(histories, 2, normalised=True, words=words)[1]


def examples() -> list[CompactExample]:
    random = np.random.default_rng(3)
    made = []
    for length in (0, 1, 3, 7, 11, 11, 2):
        history = random.integers(0, ITEMS, length).astype(np.int32)
        words = random.integers(0, 256, length % 4).astype(np.int32)
        targets = random.integers(0, ITEMS, length + 1).astype(np.int32)
        made.append(CompactExample(words, history, targets))
    return made


@pytest.mark.parametrize("kind", ["qwen3", "llama", "gpt2"])
def test_start_and_step_give_the_teacher_forced_scores(catalogue: tuple[Int32, ItemVectors], kind: str) -> None:
    model = compact(catalogue, kind)
    codes_NL = catalogue[0]
    histories = [np.asarray([4, 9, 2], np.int32), NO_WORDS, np.asarray([1], np.int32)]
    asked = np.asarray([[3, 8], [11, 0], [5, 29]])
    state, first_BC = model.start(histories, 2, normalised=True)
    scores = [first_BC[:, None].expand(-1, 2, -1)]
    parents = torch.zeros(3, 2, dtype=torch.int64)
    for level in range(1, LEVELS):
        said = torch.as_tensor(codes_NL[asked][:, :, level - 1], dtype=torch.int64)
        all_asked = Extended(parents, said, torch.ones(3, 2, dtype=torch.bool))
        state, logp_XC = model.step(state, level, all_asked, normalised=True)
        scores.append(logp_XC.view(3, 2, -1))
        parents = torch.arange(2).expand(3, -1)

    for row, history in enumerate(histories):
        for beam, item in enumerate(asked[row]):
            targets = np.full(len(history) + 1, NOTHING, np.int32)
            targets[-1] = item
            batch = pack_examples([CompactExample(NO_WORDS, history, targets)])
            with torch.no_grad():
                hidden_PD = model.hidden(batch)[batch.targets_RT >= 0]
                codes_PL = torch.as_tensor(codes_NL[[item]], dtype=torch.int64)
                forced = [logits.log_softmax(-1)[0] for logits in model.depth(hidden_PD, codes_PL)]
                loss = model(batch)
                items_N = torch.arange(ITEMS)
                whole_N = model.finish(
                    model.start([history], 2, normalised=True)[0], items_N, torch.zeros_like(items_N)
                )
                said_whole = float(whole_N.log_softmax(0)[item])
            for level in range(LEVELS):
                torch.testing.assert_close(scores[level][row, beam], forced[level], atol=1e-5, rtol=1e-4)
            said_mass = sum(float(forced[level][codes_NL[item, level]]) for level in range(LEVELS))
            assert float(loss) == pytest.approx(-(said_mass + said_whole) / LEVELS, abs=1e-5)
            both = [int(asked[row, 1 - beam]), int(item)]
            told = model.finish(state, torch.tensor(both), torch.full((2,), row))
            torch.testing.assert_close(told, whole_N[both], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", ["qwen3", "gpt2", "eager"])
def test_a_packed_batch_costs_what_its_examples_cost_alone(catalogue: tuple[Int32, ItemVectors], kind: str) -> None:
    model = compact(catalogue, kind)
    given = examples()
    with torch.no_grad():
        alone = sum(float(model(pack_examples([example]))) for example in given)
        together = float(model(pack_examples(given, row=24)))
        everything = pack_examples(given, row=24)
    assert everything.words_RT.shape[0] < len(given)
    assert together == pytest.approx(alone, rel=1e-5)


def test_another_example_in_the_batch_changes_no_score(catalogue: tuple[Int32, ItemVectors]) -> None:
    model = compact(catalogue)
    history = np.asarray([4, 9, 2], np.int32)
    alone = first(model, [history])
    beside = first(model, [np.asarray([8, 8, 1, 2, 3], np.int32), history, NO_WORDS])
    torch.testing.assert_close(beside[1], alone[0], atol=1e-6, rtol=1e-5)
    wished = first(model, [history], [np.asarray([65, 66], np.int32)])
    assert not torch.allclose(wished, alone, atol=1e-4)


def test_only_the_last_items_of_a_long_history_are_seen(catalogue: tuple[Int32, ItemVectors]) -> None:
    model = compact(catalogue)
    history = np.arange(20, dtype=np.int32)
    torch.testing.assert_close(first(model, [history]), first(model, [history[-SHAPE.max_history :]]))


@pytest.mark.parametrize("kind", ["qwen3", "llama", "gpt2"])
def test_a_saved_model_answers_the_same_over_the_same_catalogue(
    catalogue: tuple[Int32, ItemVectors], kind: str, tmp_path: Path
) -> None:
    model = compact(catalogue, kind, dropout=0.3)
    model.save(tmp_path)
    loaded = CompactModel.load(tmp_path, *catalogue)
    histories = [np.asarray([4, 9, 2], np.int32), NO_WORDS]
    assert torch.equal(first(loaded, histories), first(model, histories))
    assert not list(tmp_path.rglob("*.bin"))
    changed = catalogue[0].copy()
    changed[4] = (changed[4] + 1) % CODES
    other = CompactModel.load(tmp_path, changed, catalogue[1])
    assert not torch.equal(first(other, histories)[0], first(model, histories)[0])
    assert torch.equal(first(other, histories)[1], first(model, histories)[1])


def test_without_an_item_head_codes_say_all(catalogue: tuple[Int32, ItemVectors], tmp_path: Path) -> None:
    plain = compact(catalogue, shape=replace(SHAPE, item_head=False))
    history, none = [np.asarray([4, 9, 2], np.int32)], torch.zeros(0, dtype=torch.long)
    assert plain.finish(plain.start(history, 2, normalised=True)[0], none, none) is None
    plain.save(tmp_path)
    assert CompactModel.load(tmp_path, *catalogue).head is None
    batch = pack_examples(examples())
    with torch.no_grad():
        codes_alone, half, whole = (float(compact(catalogue, item_weight=weight)(batch)) for weight in (0.0, 0.5, 1.0))
        assert float(plain(batch)) == pytest.approx(codes_alone)
    assert half - codes_alone == pytest.approx((whole - codes_alone) / 2, rel=1e-4)
    assert whole > codes_alone


def test_a_sample_stands_for_a_large_catalogue(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mean of many sampled losses is near the loss over all items; a small catalogue is taken whole."""
    device = torch.device("cpu")
    assert item_head.sampled(5, device).tolist() == [0, 1, 2, 3, 4]
    torch.manual_seed(0)
    head, items_ND = item_head.ItemHead(8), torch.randn(400, 8)
    hidden_PD, targets_P = torch.randn(6, 8), torch.arange(6)
    with torch.no_grad():
        queries_PE = head.queries(hidden_PD)
        logits_PN = torch.stack([head.scores(queries_PE, key_E.expand(6, -1)) for key_E in head.keys(items_ND)], dim=1)
        exact = float(F.cross_entropy(logits_PN, targets_P, reduction="sum"))
        assert float(head.loss(hidden_PD, items_ND[:6], items_ND, 400)) == pytest.approx(exact, rel=1e-5)
        monkeypatch.setattr(item_head, "SAMPLED", 200)
        drawn = [item_head.sampled(400, device) for _ in range(50)]
        assert {len(sample_S) for sample_S in drawn} == {200}
        losses = [float(head.loss(hidden_PD, items_ND[:6], items_ND[sample_S], 400)) for sample_S in drawn]
    assert np.mean(losses) == pytest.approx(exact, rel=0.01)


def test_codes_of_another_shape_are_refused(catalogue: tuple[Int32, ItemVectors], tmp_path: Path) -> None:
    compact(catalogue).save(tmp_path)
    with pytest.raises(ArtifactError, match="trained for 5 codes"):
        CompactModel.load(tmp_path, catalogue[0][:, :2], catalogue[1])


def test_a_trie_of_another_catalogue_is_refused(catalogue: tuple[Int32, ItemVectors]) -> None:
    model, codes_NL = compact(catalogue), catalogue[0]
    assert beam_search(model, Trie.build(codes_NL, CODES), [NO_WORDS], 3, 3).items.shape == (1, 3)
    others = codes_NL.copy()
    others[4, 2] = (others[4, 2] + 1) % CODES
    with pytest.raises(ArtifactError, match="other codes"):
        beam_search(model, Trie.build(others, CODES), [NO_WORDS], 3, 3)
    model.attach(others, catalogue[1])
    assert beam_search(model, Trie.build(others, CODES), [NO_WORDS], 3, 3).items.shape == (1, 3)


def test_dropout_works_in_training_only(catalogue: tuple[Int32, ItemVectors]) -> None:
    model = compact(catalogue, dropout=0.5)
    batch = pack_examples(examples())
    with torch.no_grad():
        assert float(model(batch)) == float(model(batch))
        hidden = model.hidden(batch)
        model.train()
        model.dropout.p = 0.0
        assert not torch.allclose(model.hidden(batch), hidden, atol=1e-3)

"""Packed texts cost and teach what the stock model says, though attention, norms and loss are computed another way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F
from transformers import (
    AutoModelForCausalLM,
    CohereConfig,
    CohereForCausalLM,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GPT2Config,
    GPT2LMHeadModel,
    GraniteConfig,
    GraniteForCausalLM,
    Lfm2Config,
    Lfm2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from semconv.errors import ArtifactError
from semconv.llm import packed_attention, sliced_loss
from semconv.llm.packed_attention import Stacks
from semconv.llm.packed_causal import IGNORED, PackedCausal, TokenBatch, TokenExample, pack_texts
from semconv.llm.packed_probe import may_share, require_apart
from semconv.llm.packing import block_mask
from semconv.llm.rms_norm import replace_norms, rms_norm
from semconv.llm.sliced_loss import cross_entropy_sum
from semconv.training.activations import recompute_activations

VOCABULARY = 50


def qwen(**changed: Any) -> Any:
    torch.manual_seed(0)
    shape: dict[str, Any] = {
        "vocab_size": VOCABULARY,
        "hidden_size": 16,
        "intermediate_size": 24,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
    }
    model = Qwen3ForCausalLM(Qwen3Config(**(shape | changed)))
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "norm" in name:
                weight.uniform_(0.5, 1.5)
    return model


def gpt2() -> Any:
    torch.manual_seed(0)
    return GPT2LMHeadModel(GPT2Config(vocab_size=VOCABULARY, n_embd=16, n_layer=1, n_head=2, attn_pdrop=0.0))


def texts(lengths: tuple[int, ...] = (40, 3, 25, 2, 18, 30, 3)) -> TokenBatch:
    random = np.random.default_rng(0)
    examples = [TokenExample(random.integers(VOCABULARY, size=n), random.random(n) < 0.7) for n in lengths]
    return pack_texts(examples, 48, 0.25)


def stock_loss(model: Any, batch: TokenBatch) -> torch.Tensor:
    mask = block_mask(batch.segments_RT)
    logits_RTV = model(input_ids=batch.ids_RT, attention_mask=mask, position_ids=batch.positions_RT).logits
    labels_RT = batch.labels_RT.flatten()
    return F.cross_entropy(logits_RTV.flatten(0, 1), labels_RT, ignore_index=IGNORED, reduction="sum") * batch.scale


def loss_and_gradients(loss: torch.Tensor, model: Any) -> dict[str, torch.Tensor]:
    torch.autograd.backward(loss)
    found = {name: weight.grad.clone() for name, weight in model.named_parameters()}
    model.zero_grad()
    return found | {"loss": loss.detach()}


def assert_same(found: dict[str, torch.Tensor], wanted: dict[str, torch.Tensor]) -> None:
    assert found.keys() == wanted.keys()
    for name, tensor in wanted.items():
        assert torch.allclose(found[name], tensor, rtol=1e-4, atol=1e-5), name


@pytest.mark.parametrize("plain", [packed_attention.PLAIN, 10])
@pytest.mark.parametrize("make", [qwen, gpt2])
def test_loss_and_gradients_are_the_stock_models(make: Any, plain: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed_attention, "PLAIN", plain)
    monkeypatch.setattr(sliced_loss, "SLICE", 7 * VOCABULARY)
    batch = texts()
    assert len(batch.stacks) > 1
    wanted = loss_and_gradients(stock_loss(stock := make().eval(), batch), stock)
    wrapped = PackedCausal(make()).eval()
    assert_same(loss_and_gradients(wrapped(batch), wrapped.model), wanted)


@pytest.mark.parametrize("make", [qwen, gpt2])
def test_the_loss_of_packed_texts_is_that_of_each_alone(make: Any) -> None:
    batch, stock, wrapped = texts(), make().eval(), PackedCausal(make()).eval()
    alone = 0.0
    for row in range(len(batch.ids_RT)):
        for segment in batch.segments_RT[row].unique().tolist():
            own = batch.segments_RT[row] == segment
            logits_TV = stock(input_ids=batch.ids_RT[row, own][None]).logits[0]
            alone += float(
                F.cross_entropy(logits_TV.detach(), batch.labels_RT[row, own], ignore_index=IGNORED, reduction="sum")
            )
    assert float(wrapped(batch)) == pytest.approx(alone * batch.scale, rel=1e-5)


SMALL: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "initializer_range": 0.3,
    "pad_token_id": 0,
}
CHANGED_LOGITS: dict[str, Any] = {
    "cohere": lambda: CohereForCausalLM(CohereConfig(**SMALL, logit_scale=0.25)),
    "granite": lambda: GraniteForCausalLM(GraniteConfig(**SMALL, logits_scaling=4.0)),
    "gemma": lambda: Gemma3ForCausalLM(Gemma3TextConfig(**SMALL, head_dim=8, final_logit_softcapping=1.5)),
}


def changing_logits(kind: str) -> Any:
    torch.manual_seed(0)
    return CHANGED_LOGITS[kind]().eval()


@pytest.mark.parametrize("kind", CHANGED_LOGITS)
def test_logits_are_scaled_and_capped_as_the_model_does(kind: str) -> None:
    batch, stock, wrapped = texts(), changing_logits(kind), PackedCausal(changing_logits(kind)).eval()
    require_apart(wrapped)
    wanted = loss_and_gradients(stock_loss(stock, batch), stock)
    bare = F.cross_entropy(
        stock.get_output_embeddings()(wrapped.hidden(batch)), batch.labels_RT.flatten()[batch.asked_P], reduction="sum"
    )
    assert not torch.allclose(bare * batch.scale, wanted["loss"], rtol=1e-3)
    assert_same(loss_and_gradients(wrapped(batch), wrapped.model), wanted)


def test_a_model_that_does_more_with_its_logits_is_refused() -> None:
    class Bent(Qwen3ForCausalLM):  # type: ignore[misc]
        def forward(self, *given: Any, **named: Any) -> Any:
            out = super().forward(*given, **named)
            out.logits = out.logits.abs()
            return out

    with pytest.raises(ArtifactError, match="Bent logits are changed after the output projection"):
        require_apart(PackedCausal(Bent(qwen().config)))


def opened(share: bool) -> TokenBatch:
    """Texts with two openings, and some with none; of one the opening is all but what it is asked for."""
    random = np.random.default_rng(1)
    openings = [random.integers(VOCABULARY, size=n) for n in (6, 9)]
    examples = []
    for number, length in enumerate((20, 1, 14, 30, 9, 2, 25, 17)):
        opening = openings[number % 3] if number % 3 < 2 else np.zeros(0, np.int64)
        ids = np.append(opening, random.integers(VOCABULARY, size=length))
        examples.append(TokenExample(ids, np.arange(len(ids)) >= len(opening) + (number > 3)))
    return pack_texts(examples, 48, 0.25, share=share)


@pytest.mark.parametrize("plain", [packed_attention.PLAIN, 10])
def test_an_opening_read_once_teaches_what_it_teaches_before_every_text(
    plain: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packed_attention, "PLAIN", plain)
    apart, shared = opened(share=False), opened(share=True)
    assert shared.spared > 6 + 9
    assert int((apart.segments_RT > 0).sum()) - int((shared.segments_RT > 0).sum()) == shared.spared
    wanted = loss_and_gradients(stock_loss(stock := qwen().eval(), apart), stock)
    wrapped = PackedCausal(qwen()).eval()
    assert_same(loss_and_gradients(wrapped(shared), wrapped.model), wanted)
    assert may_share(wrapped)
    assert not wrapped.training


def test_activations_computed_anew_are_the_same() -> None:
    batch, wrapped = texts(), PackedCausal(qwen()).train()
    wanted = loss_and_gradients(wrapped(batch), wrapped.model)
    recompute_activations(wrapped)
    assert_same(loss_and_gradients(wrapped(batch), wrapped.model), wanted)


@pytest.mark.parametrize("plain", [packed_attention.PLAIN, 10])
def test_attention_weights_are_dropped_in_training_alone(plain: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed_attention, "PLAIN", plain)
    batch, wrapped = texts(), PackedCausal(qwen(), dropout=0.5)
    for module in wrapped.modules():
        module._forward_hooks.clear()  # leaves the attention's own dropout
    losses = [float(wrapped.train(training)(batch).detach()) for training in (True, True, False, False)]
    assert losses[0] != losses[1] != losses[2] == losses[3]


def test_a_model_whose_attention_cannot_be_replaced_keeps_its_own() -> None:
    batch = texts()
    wrapped = PackedCausal(model := qwen(attn_implementation="eager")).eval()
    assert model.config._attn_implementation == "eager"
    assert not may_share(wrapped)
    assert torch.allclose(wrapped(batch), stock_loss(qwen().eval(), batch), rtol=1e-5)


def test_under_autocast_normalised_states_attend_in_bf16() -> None:
    batch = opened(share=True)
    wrapped = PackedCausal(qwen()).eval()
    exact = wrapped(batch)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = wrapped(batch)
    assert 0 < float((exact - rounded).abs().detach()) < 0.02 * float(exact.detach())


def with_scores_changed(change: dict[str, Any]) -> Any:
    """A model whose layers ask for more than plain attention."""
    model = qwen()
    for layer in model.model.layers:
        layer.self_attn.register_forward_pre_hook(
            lambda _module, given, named: (given, named | change), with_kwargs=True
        )
    return model


def test_layers_that_ask_for_more_than_plain_attention_attend_as_they_were_written() -> None:
    batches = {share: opened(share=share) for share in (True, False)}
    asking = PackedCausal(with_scores_changed({"softcap": 5.0})).eval()
    with pytest.raises(ValueError, match="softcap"):
        asking(batches[False])
    with pytest.raises(TypeError, match="share an opening"):
        asking(batches[True])
    assert not may_share(asking)


def test_a_layer_that_makes_a_mask_of_its_own_keeps_it() -> None:
    batch, model = texts(), qwen().eval()
    nothing_older = torch.eye(batch.ids_RT.shape[1], dtype=torch.bool)[None, None].expand(len(batch.ids_RT), -1, -1, -1)
    for layer in model.model.layers:
        layer.self_attn.register_forward_pre_hook(
            lambda _module, given, named: (given, named | {"attention_mask": nothing_older}), with_kwargs=True
        )
    wanted = stock_loss(model, batch)
    assert not torch.allclose(wanted, stock_loss(qwen().eval(), batch), rtol=1e-4)
    wrapped = PackedCausal(model)
    assert torch.allclose(wrapped(batch), wanted, rtol=1e-5)
    assert not may_share(wrapped)


def test_openings_are_not_shared_where_texts_would_not_see_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    assert may_share(PackedCausal(qwen(initializer_range=1e-3)))
    monkeypatch.setattr(packed_attention, "NONE", 0)  # no stack is taken to follow the first
    assert not may_share(PackedCausal(qwen(initializer_range=1e-3)))


def test_a_model_whose_texts_see_each_other_in_a_row_is_refused() -> None:
    require_apart(PackedCausal(qwen()))
    require_apart(PackedCausal(gpt2()))
    config = Lfm2Config(
        vocab_size=VOCABULARY,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        layer_types=["conv", "full_attention"],
        initializer_range=0.2,
    )
    with pytest.raises(ArtifactError, match="Lfm2ForCausalLM texts that share a row see each other"):
        require_apart(PackedCausal(Lfm2ForCausalLM(config)))


def test_the_saved_model_knows_nothing_of_it(tmp_path: Path) -> None:
    wrapped = PackedCausal(qwen()).eval()
    wrapped.model.save_pretrained(tmp_path)
    assert "semconv" not in (tmp_path / "config.json").read_text()
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path)
    ids = torch.arange(12)[None]
    assert torch.allclose(loaded(ids).logits, wrapped.model(ids).logits, atol=1e-5)


def test_every_place_has_a_slot_of_its_own_in_order() -> None:
    segments_RT = np.array([[1, 1, 1, 2, 3, 3, 0], [1, 1, 1, 1, 1, 1, 1], [1, 2, 2, 2, 2, 0, 0]])
    stacks = Stacks.of(segments_RT)
    slots_RT = stacks.slots_X.view(segments_RT.shape).numpy()
    assert len(np.unique(slots_RT)) == segments_RT.size
    assert slots_RT.max() < sum(stacks.sizes)
    together = segments_RT[:, 1:] == segments_RT[:, :-1]
    assert (np.diff(slots_RT)[together] == 1).all()
    begin = np.cumsum([0, *stacks.sizes])
    for (_, width, _), start, stop in zip(stacks.stacks, begin, begin[1:], strict=False):
        inside = (slots_RT >= start) & (slots_RT < stop)
        firsts = inside & np.pad(~together, ((0, 0), (1, 0)), constant_values=True)
        assert ((slots_RT[firsts] - start) % width == 0).all()


def test_logits_in_bf16_are_summed_up_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sliced_loss, "SLICE", 100)
    generator = torch.Generator().manual_seed(0)
    labels_P = torch.randint(30, (11,), generator=generator)
    given = torch.randn(11, 30, generator=generator).bfloat16()
    ours, plain = given.clone().requires_grad_(), given.clone().requires_grad_()
    mine = cross_entropy_sum(ours, labels_P, 0.5)
    wanted = F.cross_entropy(plain.float(), labels_P, reduction="sum") * 0.5
    torch.autograd.backward([mine, wanted])
    assert mine.dtype == torch.float32
    assert float(mine.detach()) == pytest.approx(float(wanted.detach()), rel=1e-6)
    assert ours.grad is not None
    assert plain.grad is not None
    assert torch.allclose(ours.grad.float(), plain.grad.float(), rtol=2**-7, atol=1e-6)


def test_a_norm_that_weighs_by_one_and_more_is_left_alone() -> None:
    class ShiftedRMSNorm(torch.nn.Module):
        variance_epsilon = 1e-6

        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.full((4,), 0.3))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return rms_norm(x, 1 + self.weight, self.variance_epsilon)

    class RoundedRMSNorm(ShiftedRMSNorm):
        """As `Olmo2RMSNorm`: multiplies in the weight's precision and rounds at the end."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return rms_norm(x.float(), self.weight, self.variance_epsilon).to(x.dtype)

    assert replace_norms(torch.nn.Sequential(ShiftedRMSNorm(), RoundedRMSNorm())) == 0
    assert replace_norms(qwen()) == 2 * 4 + 1

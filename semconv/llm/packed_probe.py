"""Whether a causal LM can be trained on packed texts, tried before it is.

A mask and positions of their own keep texts apart in plain attention. Convolutions and recurrent states run across
them all the same. P positions, D width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from semconv.errors import ArtifactError
from semconv.llm.openings import LEAST
from semconv.llm.packed_causal import PackedCausal, TokenExample, pack_texts

SAME = 1e-5
"""Relative difference of hidden states in float32: rounding is below 1e-6, what was seen to leak above 1e-4."""


@torch.no_grad()
def require_apart(wrapped: PackedCausal) -> None:
    """Raise `ArtifactError` where texts in one row come out otherwise than each alone by the stock model.

    So it does where a model makes more of its hidden states, on the way to logits, than `LogitRule` knows.
    """
    examples = _examples(learned_from=0)
    wanted_PD, wanted_PV = (torch.cat(parts) for parts in zip(*(_alone(wrapped, e) for e in examples), strict=True))
    if not _same(_packed(wrapped, examples, share=False), wanted_PD):
        raise _unfit(wrapped, "texts that share a row see each other")
    if not _same(wrapped.logits(wanted_PD), wanted_PV):
        raise _unfit(wrapped, "logits are changed after the output projection, in a way that is not known here")


@torch.no_grad()
def may_share(wrapped: PackedCausal) -> bool:
    """Whether texts that share an opening come out as they do with each its own."""
    if not wrapped.attends_by_segment:
        return False
    examples = _examples(learned_from=2 * LEAST)
    try:
        return _same(*(_packed(wrapped, examples, share=share) for share in (True, False)))
    except TypeError:
        return False


def _examples(learned_from: int) -> list[TokenExample]:
    """Two texts of one opening that differ from the first token after it."""
    opening = np.arange(2 * LEAST, dtype=np.int64) % 3
    learned = np.arange(len(opening) + 3) > learned_from
    return [TokenExample(np.append(opening, (last, 0, last)), learned) for last in (1, 2)]


def _packed(wrapped: PackedCausal, examples: list[TokenExample], *, share: bool) -> torch.Tensor:
    """Hidden states (P, D) at the labelled positions, text after text."""
    with _evaluating(wrapped):
        return wrapped.hidden(pack_texts(examples, 8 * LEAST, share=share).to(wrapped.model.device))


def _alone(wrapped: PackedCausal, example: TokenExample) -> tuple[torch.Tensor, torch.Tensor]:
    """The same of one text and its logits (P, V), as the model computes them when nothing is asked of it but that."""
    with _evaluating(wrapped):
        ids_1T = torch.from_numpy(example.ids)[None].to(wrapped.model.device)
        hidden_TD = wrapped.model.base_model(input_ids=ids_1T, use_cache=False).last_hidden_state[0]
        logits_TV = wrapped.model(input_ids=ids_1T, use_cache=False).logits[0]
    asked = np.flatnonzero(example.learned[1:])
    return hidden_TD[asked], logits_TV[asked]


@contextmanager
def _evaluating(wrapped: PackedCausal) -> Iterator[None]:
    """Without dropout; afterwards as it was."""
    training = wrapped.training
    wrapped.eval()
    try:
        yield
    finally:
        wrapped.train(training)


def _same(found: torch.Tensor, wanted: torch.Tensor) -> bool:
    return bool((found - wanted).norm() <= SAME * wanted.norm())


def _unfit(wrapped: PackedCausal, why: str) -> ArtifactError:
    return ArtifactError(
        f"In {type(wrapped.model).__name__} {why}",
        "Choose a base model with plain attention, such as Qwen3, Llama or GPT-2",
    )

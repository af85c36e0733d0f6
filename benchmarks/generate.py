"""The named rival of decoding: Hugging Face ``generate``, its beams constrained as its documentation shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers import GenerationConfig

from semconv.artifacts.ragged import Int32

Codes = tuple[int, ...]
Answer = list[tuple[Codes, float]]
"""Token tuples and their scores, best first."""
Ranked = list[tuple[int, float]]
"""Items and their scores, best first."""

ALIKE, TIED = 1e-4, 1e-5
"""How far two scores of the same item may lie apart, and scores of two items that no order is asked of."""


class Continuations:
    """What may follow every prefix of a catalogue's token tuples, all of one length."""

    def __init__(self, tuples: Sequence[Codes]) -> None:
        following: dict[Codes, set[int]] = {}
        self.items: dict[Codes, list[int]] = {}
        self.levels = len(tuples[0])
        for item, answer in enumerate(tuples):
            self.items.setdefault(answer, []).append(item)
            for level in range(self.levels):
                following.setdefault(answer[:level], set()).add(answer[level])
        self._allowed = {prefix: sorted(tokens) for prefix, tokens in following.items()}

    def after(self, prefix: Codes) -> list[int]:
        """The tokens that may follow; a filler where nothing begins so, as in beams that are filled up."""
        return self._allowed.get(prefix, [0])

    def items_of(self, answer: Answer) -> Ranked:
        """The items of every tuple, each with its tuple's score."""
        return [(item, score) for codes, score in answer for item in self.items[codes]]


def generate(model: Any, prompts: Sequence[Sequence[int] | Int32], legal: Continuations, beams: int) -> list[Answer]:
    """Beam search with ``prefix_allowed_tokens_fn`` and ``length_penalty=0``; all ``beams`` of each prompt."""
    longest, levels = max(map(len, prompts)), legal.levels
    pads = [longest - len(prompt) for prompt in prompts]
    ids = torch.tensor([[0] * pad + list(prompt) for pad, prompt in zip(pads, prompts, strict=True)])
    mask = torch.tensor([[0] * pad + [1] * (longest - pad) for pad in pads])

    out = model.generate(
        input_ids=ids.to(model.device),
        attention_mask=mask.to(model.device),
        generation_config=GenerationConfig(
            num_beams=beams,
            num_return_sequences=beams,
            do_sample=False,
            max_new_tokens=levels,
            min_new_tokens=levels,
            length_penalty=0.0,
            pad_token_id=0,
            eos_token_id=None,
            return_dict_in_generate=True,
            output_scores=True,
            output_logits=beams == 1,
        ),
        prefix_allowed_tokens_fn=lambda _, sequence: legal.after(tuple(sequence[longest:].tolist())),
    )
    said = out.sequences[:, longest:]
    if beams == 1:  # greedy search keeps no scores of sequences
        totals = torch.stack(out.logits, dim=1).log_softmax(-1).gather(2, said[:, :, None]).sum((1, 2))
    else:
        totals = out.sequences_scores
    pairs = list(zip(map(tuple, said.tolist()), totals.tolist(), strict=True))
    # Beams that it fills up with, where fewer prefixes than beams are legal, score about -1e9.
    return [[pair for pair in pairs[row * beams : (row + 1) * beams] if pair[1] > -1e8] for row in range(len(prompts))]


def agrees(found: Ranked, wanted: Ranked, k: int) -> bool:
    """Whether ``found`` is the best ``k`` of ``wanted``, which may go on after them.

    Scores must be within `ALIKE` of each other rank by rank. Items whose wanted scores form a chain of steps within
    `TIED` may come in any order among themselves. Where such a chain goes on past the k, any of it may be found; where
    it ends ``wanted``, what is tied with it there is not known, and an item that is not in ``wanted`` may take the
    place of one if its score is within `TIED` of the last.
    """
    names = [name for name, _ in found]
    if len(found) != min(k, len(wanted)) or len(set(names)) != len(names):
        return False
    if any(abs(mine - theirs) > ALIKE for (_, mine), (_, theirs) in zip(found, wanted, strict=False)):
        return False
    for start, stop in _chains([score for _, score in wanted]):
        tied = {name for name, _ in wanted[start:stop]}
        strangers = [score for name, score in found[start:stop] if name not in tied]
        if strangers and stop < len(wanted):
            return False
        if any(abs(score - wanted[-1][1]) > TIED for score in strangers):
            return False
    return True


def _chains(scores: Sequence[float]) -> list[tuple[int, int]]:
    """Where runs of sorted scores begin and end, each within `TIED` of the one before it."""
    breaks = [rank for rank in range(1, len(scores)) if abs(scores[rank] - scores[rank - 1]) > TIED]
    return list(zip([0, *breaks], [*breaks, len(scores)], strict=True))

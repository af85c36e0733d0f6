"""The named rival of decoding: Hugging Face ``generate``, its beams constrained as its documentation shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers import GenerationConfig

from semconv.artifacts.ragged import Int32

Answer = list[tuple[tuple[int, ...], float]]
"""Token tuples and their scores, best first."""


def generate(
    model: Any, prompts: Sequence[Sequence[int]], answers: Sequence[tuple[int, ...]], beams: int
) -> list[Answer]:
    """Beam search with ``prefix_allowed_tokens_fn`` and ``length_penalty=0``; all ``beams`` of each prompt.

    ``answers`` are the token tuples of the catalogue, all of one length.
    """
    longest, levels = max(map(len, prompts)), len(answers[0])
    pads = [longest - len(prompt) for prompt in prompts]
    ids = torch.tensor([[0] * pad + list(prompt) for pad, prompt in zip(pads, prompts, strict=True)])
    mask = torch.tensor([[0] * pad + [1] * (longest - pad) for pad in pads])
    following: dict[tuple[int, ...], set[int]] = {}
    for answer in answers:
        for level in range(levels):
            following.setdefault(answer[:level], set()).add(answer[level])
    allowed = {prefix: sorted(tokens) for prefix, tokens in following.items()}

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
        prefix_allowed_tokens_fn=lambda _, sequence: allowed.get(tuple(sequence[longest:].tolist()), [0]),
    )
    said = out.sequences[:, longest:]
    if beams == 1:  # greedy search keeps no scores of sequences
        totals = torch.stack(out.logits, dim=1).log_softmax(-1).gather(2, said[:, :, None]).sum((1, 2))
    else:
        totals = out.sequences_scores
    pairs = list(zip(map(tuple, said.tolist()), totals.tolist(), strict=True))
    # Beams that it fills up with, where fewer prefixes than beams are legal, score about -1e9.
    return [[pair for pair in pairs[row * beams : (row + 1) * beams] if pair[1] > -1e8] for row in range(len(prompts))]


def spoken(items: Int32, scores: Sequence[float], answers: Sequence[tuple[int, ...]]) -> Answer:
    """The token tuples of found items, each once: ``generate`` knows tuples, not the items that share one."""
    best: dict[tuple[int, ...], float] = {}
    for item, score in zip(items.tolist(), scores, strict=True):
        best.setdefault(answers[item], float(score))
    return list(best.items())


def agrees(found: Answer, wanted: Answer) -> bool:
    """Whether two answers are the same: scores within 1e-4, the order too but where scores are within 1e-5.

    ``found`` may be the shorter one, where items share a tuple and k items are fewer tuples.
    """
    wanted = wanted[: len(found)]
    if len(found) != len(wanted) or any(abs(f[1] - w[1]) > 1e-4 for f, w in zip(found, wanted, strict=True)):
        return False
    scores = [score for _, score in wanted]
    for rank, (answer, score) in enumerate(wanted):
        tied = any(abs(score - other) <= 1e-5 for other in scores[:rank] + scores[rank + 1 :])
        last = rank == len(wanted) - 1
        if answer != found[rank][0] and not (tied or (last and _close_behind(found, wanted))):
            return False
    return True


def _close_behind(found: Answer, wanted: Answer) -> bool:
    """Whether the last of both may be tied with each other: what follows them is not known."""
    return abs(found[-1][1] - wanted[-1][1]) <= 1e-5

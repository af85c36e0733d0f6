"""Whether a language model scores the same with shared prompts as on its own.

Hugging Face models differ in what happens around their attention: positions as biases, recurrent layers, scores
changed after the projection. What shared prompts cannot reproduce must be refused, not ranked by.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from semconv.errors import ArtifactError
from semconv.llm.protocol import Extended

if TYPE_CHECKING:
    from semconv.llm.causal import CausalBeamModel

EXACT, ROUNDED = 1e-3, 0.02
"""Largest difference of log-probabilities in float32, and in 16 bits as a share of the largest one."""


@torch.no_grad()
def require_same_scores(beam_model: CausalBeamModel, model: Any, tokens_LC: torch.Tensor) -> None:
    """Compare two prompts of two beams each with the model's own forward pass.

    Raises `ArtifactError` when they differ, or when the model cannot be given shared prompts at all.
    """
    codes = [0, tokens_LC.shape[1] - 1]
    opening = tokens_LC[0, codes].cpu().numpy().astype(np.int32)
    prompts = [opening[:1], opening[[1, 0, 1]]]
    said = torch.tensor([codes, codes], device=model.device)
    try:
        state, first_BC = beam_model.read(prompts, 2, normalised=True)
        seen = [first_BC]
        if beam_model.levels > 1:
            beams = Extended(torch.zeros_like(said), said, torch.ones_like(said, dtype=torch.bool))
            seen.append(beam_model.step(state, 1, beams, normalised=True)[1])
    except TypeError as error:
        raise _unfit(model, f"its attention cannot be replaced ({error})") from error
    texts = [prompt.tolist() for prompt in prompts]
    wanted = [_scores(model, texts, tokens_LC[0])]
    if beam_model.levels > 1:
        longer = [[*text, int(tokens_LC[0, code])] for text in texts for code in codes]
        wanted.append(_scores(model, longer, tokens_LC[1]))
    seen_XC, wanted_XC = torch.cat(seen), torch.cat(wanted)
    allowed = EXACT if model.dtype == torch.float32 else ROUNDED * float(wanted_XC.abs().max())
    apart = float((seen_XC - wanted_XC).abs().max())
    if not apart <= allowed and bool(wanted_XC.isfinite().all()):
        raise _unfit(model, f"log-probabilities differ by {apart:.3g}")


def _scores(model: Any, texts: list[list[int]], tokens_C: torch.Tensor) -> torch.Tensor:
    """Log-probabilities of the tokens after each text, one text at a time, float32 (X, C)."""
    rows = [model(input_ids=torch.tensor([text], device=model.device)).logits[0, -1] for text in texts]
    return torch.stack(rows).float().log_softmax(-1)[:, tokens_C]


def _unfit(model: Any, why: str) -> ArtifactError:
    return ArtifactError(
        f"{type(model).__name__} does not score the same with shared prompts: {why}",
        "Choose a base model with plain attention, such as Qwen3, Llama or GPT-2",
    )

"""Whether a language model scores the same with shared prompts as on its own.

Hugging Face models differ in what happens around their attention: positions as biases, recurrent layers, scores
changed after the projection. What shared prompts cannot reproduce must be refused, not ranked by.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from semconv.errors import ArtifactError
from semconv.llm.prompt_cache import PromptCache, Reading, shared_prompts
from semconv.llm.protocol import Extended

if TYPE_CHECKING:
    from semconv.llm.causal import CausalBeamModel

EXACT, ROUNDED = 1e-3, 0.02
"""Largest difference of log-probabilities in float32, and in 16 bits as a share of the largest one."""
LENGTHS = 1, 3
"""Of the prompts that a backbone is tried with."""
_BY_LENGTH = {"dynamic", "longrope"}
"""Rotary positions that turn with the longest prompt of a pass."""
_LAYERS = {"full_attention", "sliding_attention"}
"""Layers through which the users of a pass do not see each other."""


@torch.no_grad()
def require_same_scores(beam_model: CausalBeamModel, model: Any, tokens_LC: torch.Tensor) -> None:
    """Compare two prompts of two beams each with the model's own forward pass.

    Raises `ArtifactError` when they differ, or when the model cannot be given shared prompts at all.
    """
    _require_plain_layers(model)
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


@torch.no_grad()
def require_same_states(backbone: Any) -> None:
    """Compare two prompts of random embeddings, read as one row, with the backbone's own forward pass of each.

    The backbone is left in evaluation mode or in training mode, as it was. Raises `ArtifactError` as
    `require_same_scores` does.
    """
    _require_plain_layers(backbone)
    training, lengths = backbone.training, np.asarray(LENGTHS)
    backbone.eval()
    try:
        table = backbone.get_input_embeddings().weight
        generator = torch.Generator().manual_seed(0)
        drawn_XD = torch.randn(int(lengths.sum()), table.shape[1], generator=generator).to(table)
        prompts = torch.split(drawn_XD, lengths.tolist())
        wanted_XD = torch.cat([backbone(inputs_embeds=p[None], use_cache=False).last_hidden_state[0] for p in prompts])
        cache = PromptCache(len(lengths), int(lengths.max()))
        reading = Reading.of_prompts(cache, slice(0, len(lengths)), lengths, 0, table.device)
        places_1X = torch.cat([torch.arange(length) for length in LENGTHS])[None].to(table.device)
        with shared_prompts(backbone):
            seen = backbone(inputs_embeds=drawn_XD[None], position_ids=places_1X, use_cache=False, reading=reading)
    except TypeError as error:
        raise _unfit(backbone, f"its attention cannot be replaced ({error})") from error
    finally:
        backbone.train(training)
    size = float(wanted_XD.abs().max())
    apart = float((seen.last_hidden_state[0] - wanted_XD).abs().max())
    if not apart <= (EXACT if table.dtype == torch.float32 else ROUNDED) * size and bool(wanted_XD.isfinite().all()):
        raise _unfit(backbone, f"hidden states of size {size:.3g} differ by {apart:.3g}")


def _require_plain_layers(model: Any) -> None:
    odd = set(getattr(model.config, "layer_types", None) or ()) - _LAYERS
    if odd:
        raise _unfit(model, f"it has layers of {', '.join(sorted(odd))}")
    stated = getattr(model.config, "rope_parameters", None) or {}
    kinds = {str(part.get("rope_type")) for part in (stated, *stated.values()) if isinstance(part, dict)}
    if kinds & _BY_LENGTH:
        raise _unfit(model, f"its rotary positions are {', '.join(sorted(kinds & _BY_LENGTH))}")


def _scores(model: Any, texts: list[list[int]], tokens_C: torch.Tensor) -> torch.Tensor:
    """Log-probabilities of the tokens after each text, one text at a time, float32 (X, C)."""
    rows = [model(input_ids=torch.tensor([text], device=model.device)).logits[0, -1] for text in texts]
    return torch.stack(rows).float().log_softmax(-1)[:, tokens_C]


def _unfit(model: Any, why: str) -> ArtifactError:
    return ArtifactError(
        f"{type(model).__name__} does not score the same with shared prompts: {why}",
        "Choose a base model with plain attention, such as Qwen3, Llama or GPT-2",
    )

"""Any Hugging Face causal LM over code tokens as a `BeamModel`.

The prompts are read once, left-padded to one length, into a key-value cache; each level then feeds one token a beam,
with the cache's rows gathered to follow the beams. Only the forward pass of the model is used: nothing in its
``generation_config`` can reach the result. Probabilities are normalised over the whole vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from transformers import DynamicCache

from semconv.artifacts.ragged import Int32, Ragged
from semconv.errors import ArtifactError, InputError
from semconv.llm.load import context_of

Prompt = Callable[[Int32], Sequence[int]]
"""From a history (item indices, oldest first, possibly empty) to the token ids that the answer follows."""


class CausalState(NamedTuple):
    """What the model has read: its cache of B * K rows, their mask (B * K, T), and their last positions (B * K)."""

    cache: DynamicCache
    mask_XT: torch.Tensor
    last_X: torch.Tensor


class CausalBeamModel:
    """A causal LM whose answer is one token a level; see `BeamModel`."""

    def __init__(self, model: Any, tokens_LC: torch.Tensor, prompt: Prompt) -> None:
        """``model`` in evaluation mode; ``tokens_LC`` int64 (L, C), the token id of every level's every code.

        Raises `ArtifactError` when a code's token is outside the model's vocabulary.
        """
        self.levels, self.codes = tokens_LC.shape
        self._model = model
        self._tokens_LC = tokens_LC.to(model.device)
        self._prompt = prompt
        vocabulary = model.get_input_embeddings().num_embeddings
        if int(tokens_LC.max()) >= vocabulary:
            raise ArtifactError(
                f"Code tokens reach {int(tokens_LC.max())}, the model's vocabulary ends at {vocabulary - 1}",
                "Use the tokenizer that was saved with the model",
            )

    @torch.no_grad()
    def start(self, histories: Sequence[Int32]) -> tuple[CausalState, torch.Tensor]:
        """See `BeamModel`. Raises `InputError` for a prompt without tokens or longer than the model's context."""
        prompts = Ragged.of([np.asarray(self._prompt(history), np.int32) for history in histories])
        lengths = prompts.lengths
        longest, room = int(lengths.max()), context_of(self._model.config) - (self.levels - 1)
        if int(lengths.min()) == 0:
            raise InputError("A prompt has no token", "Let every prompt hold at least a start token")
        if longest > room:
            raise InputError(
                f"A prompt of {longest} tokens leaves no room for {self.levels} codes: the model reads {room} at most",
                "Lower align.max_history",
            )
        mask_BT = np.arange(longest) >= (longest - lengths)[:, None]
        tokens_BT = np.zeros(mask_BT.shape, np.int64)
        tokens_BT[mask_BT] = prompts.values
        mask = torch.from_numpy(mask_BT.astype(np.int64)).to(self._model.device)
        positions = (mask.cumsum(1) - 1).clamp(min=0)
        cache = DynamicCache(config=self._model.config)
        tokens = torch.from_numpy(tokens_BT).to(self._model.device)
        logp_BC = self._scores(0, tokens, cache, mask, positions)
        return CausalState(cache, mask, positions[:, -1]), logp_BC.unsqueeze(1)

    @torch.no_grad()
    def step(
        self, state: CausalState, level: int, parents_BK: torch.Tensor, codes_BK: torch.Tensor
    ) -> tuple[CausalState, torch.Tensor]:
        """See `BeamModel`."""
        batch, beams = parents_BK.shape
        previous = len(state.last_X) // batch
        rows = (torch.arange(batch, device=parents_BK.device).unsqueeze(1) * previous + parents_BK).flatten()
        state.cache.reorder_cache(cast(torch.LongTensor, rows))
        mask = torch.nn.functional.pad(state.mask_XT[rows], (0, 1), value=1)
        positions = state.last_X[rows] + 1
        tokens = self._tokens_LC[level - 1][codes_BK].view(-1, 1)
        logp_XC = self._scores(level, tokens, state.cache, mask, positions.unsqueeze(1))
        return CausalState(state.cache, mask, positions), logp_XC.view(batch, beams, self.codes)

    def _scores(
        self, level: int, tokens: torch.Tensor, cache: DynamicCache, mask: torch.Tensor, positions: torch.Tensor
    ) -> torch.Tensor:
        """Feed tokens (X, t) and return the log-probabilities of a level's codes after the last, float32 (X, C)."""
        logits_XV = self._model(
            input_ids=tokens,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        ).logits[:, -1]
        chosen_XC = logits_XV[:, self._tokens_LC[level]].float()
        logp_XC: torch.Tensor = chosen_XC - logits_XV.float().logsumexp(-1, keepdim=True)
        return logp_XC

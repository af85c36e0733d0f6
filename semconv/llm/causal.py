"""Any Hugging Face causal LM over code tokens as a `BeamModel`.

Prompts are read once into a `PromptCache`; each level then feeds one token for every beam whose continuations need
scores, all users in one flat row. A beam that has one continuation only is not fed; its token waits until a later
level asks about it. Only the forward pass of the model's backbone and the rows of its output projection are used:
nothing in its ``generation_config`` can reach the result.

B users, K beams, T longest prompt (tokens), X flat tokens, L levels, C codes per level, D width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from semconv.artifacts.ragged import Int32, Int64, Ragged
from semconv.errors import InputError
from semconv.llm.code_head import CodeHead
from semconv.llm.load import context_of
from semconv.llm.memory import Memory, prompts_memory
from semconv.llm.probe import require_same_scores
from semconv.llm.prompt_cache import PromptCache, Reading, passes, places, shared_prompts
from semconv.llm.protocol import Extended

Prompt = Callable[[Int32], Sequence[int]]
"""From a history (item indices, oldest first, possibly empty) to the token ids that the answer follows."""

UNFED = -1
SHARED_FROM = 16
"""Tokens that prompts must have in common at their start for these to be read once for all."""


class CausalState(NamedTuple):
    """What has been read, and for each beam which cells hold its codes.

    ``lengths_B`` of the prompts and ``used_B`` cells, int64 (B); ``cells_BKl`` int64: the cell of each code said so
    far, `UNFED` for one that waits; ``tokens_BKl`` their tokens.
    """

    cache: PromptCache
    lengths_B: torch.Tensor
    used_B: torch.Tensor
    cells_BKl: torch.Tensor
    tokens_BKl: torch.Tensor


class CausalBeamModel:
    """A causal LM whose answer is one token a level; see `BeamModel`."""

    def __init__(self, model: Any, tokens_LC: torch.Tensor, prompt: Prompt, *, catalogue: int | None = None) -> None:
        """``model`` in evaluation mode; ``tokens_LC`` int64 (L, C), the token id of every level's every code.

        Raises `ArtifactError` when a code's token is outside the model's vocabulary, or when the model does not score
        the same with shared prompts as on its own.
        """
        self.levels, self.codes = tokens_LC.shape
        self.catalogue = catalogue
        self._model = model
        self._tokens_LC = tokens_LC.to(model.device)
        self._head = CodeHead(model, tokens_LC)
        self._prompt = prompt
        require_same_scores(self, model, self._tokens_LC)

    def start(self, histories: Sequence[Int32], beams: int, *, normalised: bool) -> tuple[CausalState, torch.Tensor]:
        """See `BeamModel`. Raises `InputError` for a prompt without tokens or longer than the model's context."""
        prompts = [np.asarray(self._prompt(history), np.int32) for history in histories]
        return self.read(prompts, beams, normalised=normalised)

    @torch.no_grad()
    def read(self, texts: Sequence[Int32], beams: int, *, normalised: bool) -> tuple[CausalState, torch.Tensor]:
        """What `start` does, from prompts of token ids."""
        prompts = Ragged.of(texts)
        longest = self._require_room(prompts.lengths)
        shared = _common_prefix(prompts)
        cache = PromptCache(len(prompts), longest + beams * (self.levels - 1))
        if shared:
            prefix = PromptCache(1, shared)
            self._read(prefix, Ragged.of([prompts.values[:shared]]), slice(0, 1), 0)
            cache.begin_with(prefix)
        device = self._model.device
        parts = passes(prompts.lengths - shared, device)
        hidden_BD = torch.cat([self._read(cache, prompts, users, shared) for users in parts])
        none = torch.zeros((len(prompts), 1, 0), dtype=torch.long, device=device)
        lengths_B = torch.from_numpy(prompts.lengths).to(device)
        state = CausalState(cache, lengths_B, torch.full_like(lengths_B, longest), none, none)
        return state, self._head(hidden_BD, 0, normalised=normalised)

    @torch.no_grad()
    def step(
        self, state: CausalState, level: int, beams: Extended, *, normalised: bool
    ) -> tuple[CausalState, torch.Tensor]:
        """See `BeamModel`."""
        parents_BK1 = beams.parents_BK[:, :, None]
        newest_BK1 = self._tokens_LC[level - 1][beams.codes_BK][:, :, None]
        cells_BKl = torch.cat(
            [torch.take_along_dim(state.cells_BKl, parents_BK1, 1), torch.full_like(newest_BK1, UNFED)], -1
        )
        tokens_BKl = torch.cat([torch.take_along_dim(state.tokens_BKl, parents_BK1, 1), newest_BK1], -1)
        feed_BKl = beams.asked_BK[:, :, None] & (cells_BKl == UNFED)
        fed_B = feed_BKl.sum((1, 2))
        state = CausalState(state.cache, state.lengths_B, state.used_B + fed_B, cells_BKl, tokens_BKl)
        many = fed_B.cpu().numpy()
        if not many.any():
            return state, torch.zeros((0, self.codes), device=fed_B.device)
        parts = [self._feed(state, feed_BKl, users, level) for users in passes(many, fed_B.device)]
        return state, self._head(torch.cat(parts), level, normalised=normalised)

    def _feed(self, state: CausalState, feed_BKl: torch.Tensor, users: slice, level: int) -> torch.Tensor:
        """Send the tokens that wait in ``feed_BKl`` for some users; hidden states of their newest ones, (X, D).

        Writes the cells that they take into the state.
        """
        cells_UKl, lengths_U = state.cells_BKl[users], state.lengths_B[users]
        user_X, beam_X, place_X = feed_BKl[users].nonzero(as_tuple=True)
        fed_U = feed_BKl[users].sum((1, 2))
        queries, span, longest = torch.stack([fed_U.max(), state.used_B[users].max(), lengths_U.max()]).tolist()
        slot_X = torch.arange(len(user_X), device=user_X.device) - (fed_U.cumsum(0) - fed_U)[user_X]
        own_X = (state.used_B[users] - fed_U)[user_X] + slot_X
        cells_UKl[user_X, beam_X, place_X] = own_X
        row_X = user_X * queries + slot_X
        mask = (torch.arange(span, device=user_X.device) < lengths_U[:, None])[:, None].repeat(1, queries, 1)
        before_Xl = torch.arange(level, device=user_X.device) <= place_X[:, None]
        path_Xl = torch.where(before_Xl, cells_UKl[user_X, beam_X], own_X[:, None])
        mask.view(-1, span)[row_X[:, None], path_Xl] = True
        reading = Reading(
            state.cache,
            users,
            queries,
            span,
            longest + level,
            (user_X + users.start) * state.cache.cells + own_X,
            None if len(row_X) == len(fed_U) * queries else row_X,
            mask,
        )
        tokens_X = state.tokens_BKl[users][user_X, beam_X, place_X]
        hidden_XD = self._forward(tokens_X, lengths_U[user_X] + place_X, reading)
        return hidden_XD[place_X == level - 1]

    def finish(self, state: CausalState, items_T: torch.Tensor, rows_T: torch.Tensor) -> None:
        """See `BeamModel`: codes say all there is."""

    def memory(self, history: int, beams: int) -> Memory:
        """See `BeamModel`."""
        longest = len(self._prompt(np.zeros(history, np.int32)))
        return prompts_memory(self._model, longest, beams, self.levels, self.codes)

    def _read(self, cache: PromptCache, prompts: Ragged, users: slice, shared: int) -> torch.Tensor:
        """Read what follows the first ``shared`` tokens of some prompts; each one's last hidden state, (U, D)."""
        device, lengths = self._model.device, prompts.lengths[users] - shared
        place_X = places(lengths) + shared
        tokens_X = prompts.values[np.repeat(prompts.offsets[:-1][users], lengths) + place_X].astype(np.int64)
        reading = Reading.of_prompts(cache, users, lengths, shared, device)
        hidden_XD = self._forward(torch.from_numpy(tokens_X).to(device), torch.from_numpy(place_X).to(device), reading)
        return hidden_XD[torch.from_numpy(lengths.cumsum() - 1).to(device)]

    def _forward(self, tokens_X: torch.Tensor, positions_X: torch.Tensor, reading: Reading) -> torch.Tensor:
        """Last hidden states of a flat row of tokens, (X, D)."""
        with shared_prompts(self._model):
            out = self._model.base_model(
                input_ids=tokens_X[None], position_ids=positions_X[None], use_cache=False, reading=reading
            )
        hidden_XD: torch.Tensor = out.last_hidden_state[0]
        return hidden_XD

    def _require_room(self, lengths: Int64) -> int:
        """Tokens of the longest prompt; raises `InputError` where one cannot be read."""
        longest, room = int(lengths.max()), context_of(self._model.config) - (self.levels - 1)
        if int(lengths.min()) == 0:
            raise InputError("A prompt has no token", "Let every prompt hold at least a start token")
        if longest > room:
            raise InputError(
                f"A prompt of {longest} tokens leaves no room for {self.levels} codes: the model reads {room} at most",
                "Lower align.max_history",
            )
        return longest


def _common_prefix(prompts: Ragged) -> int:
    """Tokens that all prompts begin with and that are worth reading once; every prompt keeps one of its own."""
    shortest = int(prompts.lengths.min())
    if len(prompts) < 2 or shortest <= SHARED_FROM:
        return 0
    heads = prompts.values[prompts.offsets[:-1, None] + np.arange(shortest - 1)]
    common = int((heads == heads[0]).all(0).cumprod().sum())
    return common if common >= SHARED_FROM else 0


def unpadded(input_ids: torch.Tensor, attention_mask: torch.Tensor) -> list[Int32]:
    """Prompts of a tokenizer's batch, (B, T) each, padded on whichever side: token ids, int32, one array a row."""
    return [
        ids[mask].cpu().numpy().astype(np.int32) for ids, mask in zip(input_ids, attention_mask.bool(), strict=True)
    ]

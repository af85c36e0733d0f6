"""Keys and values of many prompts, read once and looked at by all the beams that follow them.

Tokens of all users go through the model as one flat row, so that its matrices see exactly the tokens there are: no
padding, no copy of a prompt for a beam. Only the attention knows users apart. It is Hugging Face's own extension point
(`AttentionInterface`), called once a layer with the flat row; a `Reading` tells it where everything lies.

U users, S cells a user, X flat tokens, n queries a user (padded), H query heads, J key heads, G = H / J, d head width.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch.nn import functional as F

from semconv.artifacts.ragged import Int64
from semconv.errors import ArtifactError, InputError

ATTENTION = "semconv_prompt_cache"
READ_TOKENS = {"cpu": 1024, "cuda": 32768}
"""Prompt tokens read in one pass, by device: more would only cost memory."""
SMALL_SPAN, SMALL_SCORES = 64, 2**22
"""On a CPU, plain products beat the fused kernel on short prompts, and on masks while all scores fit a cache."""


class PromptCache:
    """For every layer, keys and values of U users in S cells each: the prompt's first, then those of beams.

    A cell is written once and never moved.
    """

    def __init__(self, users: int, cells: int) -> None:
        self.users, self.cells = users, cells
        self._layers: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

    def write(self, layer: int, keys_XJd: torch.Tensor, values_XJd: torch.Tensor, cells_X: torch.Tensor) -> None:
        """Put keys and values into cells, numbered user * S + place."""
        if layer not in self._layers:
            self._layers[layer] = (self._empty(keys_XJd), self._empty(values_XJd))
        keys, values = self._layers[layer]
        keys.view(-1, *keys_XJd.shape[1:]).index_copy_(0, cells_X, keys_XJd)
        values.view(-1, *values_XJd.shape[1:]).index_copy_(0, cells_X, values_XJd)

    def read(self, layer: int, users: slice, cells: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Views of the first cells of some users: keys and values, (U, J, cells, d)."""
        keys, values = self._layers[layer]
        return keys[users, :cells].transpose(1, 2), values[users, :cells].transpose(1, 2)

    def begin_with(self, prefix: PromptCache) -> None:
        """Give every user the cells of a prefix that one user has read."""
        for layer, (keys, values) in prefix._layers.items():
            self._layers[layer] = (self._empty(keys[0]), self._empty(values[0]))
            for mine, theirs in zip(self._layers[layer], (keys, values), strict=True):
                mine[:, : prefix.cells] = theirs

    def _empty(self, like_XJd: torch.Tensor) -> torch.Tensor:
        """Zeros, because a masked cell still takes part in a product with zero."""
        return like_XJd.new_zeros(self.users, self.cells, *like_XJd.shape[1:])


@dataclass(frozen=True)
class Reading:
    """One pass of X flat tokens, of the users in ``users``, who have ``queries`` (n) tokens or fewer each.

    ``cells_X``   where each token's key and value go, user * S + place
    ``slots_X``   the token's query among U * n, user by user; None when every user has exactly n
    ``span``      how many of a user's cells are looked at
    ``reach``     positions that a query may look back over, itself among them
    ``mask``      bool (U or 1, n, span), what each query may look at; None for plain causal reading from the first cell
    """

    cache: PromptCache
    users: slice
    queries: int
    span: int
    reach: int
    cells_X: torch.Tensor
    slots_X: torch.Tensor | None
    mask: torch.Tensor | None

    @cached_property
    def bias(self) -> torch.Tensor:
        """What is added to a query's scores, float32 (U or 1, 1, 1, n, span): 0, or minus infinity where it may not."""
        device = self.cells_X.device
        seen = self.mask
        if seen is None:
            seen = torch.ones((1, self.queries, self.span), dtype=torch.bool, device=device).tril()
        return torch.zeros(seen.shape, device=device).masked_fill_(~seen, -torch.inf)[:, None, None]

    @classmethod
    def of_prompts(cls, cache: PromptCache, users: slice, lengths: Int64, shared: int, device: torch.device) -> Self:
        """Reading prompts of ``lengths`` int64 (U) in causal order, after ``shared`` cells that all users have."""
        queries = int(lengths.max())
        owner_X = np.repeat(np.arange(len(lengths)), lengths)
        place_X = places(lengths)
        mask = None
        if shared:
            mask = torch.ones((1, queries, shared + queries), dtype=torch.bool, device=device).tril(shared)
        even = len(owner_X) == len(lengths) * queries
        return cls(
            cache,
            users,
            queries,
            shared + queries,
            shared + queries,
            torch.from_numpy((users.start + owner_X) * cache.cells + shared + place_X).to(device),
            None if even else torch.from_numpy(owner_X * queries + place_X).to(device),
            mask,
        )


def places(lengths: Int64) -> Int64:
    """0, 1, .. within each of several runs of ``lengths`` laid end to end, int64 (sum)."""
    ends = lengths.cumsum()
    found: Int64 = np.arange(ends[-1]) - np.repeat(ends - lengths, lengths)
    return found


def passes(lengths: Int64, device: torch.device) -> Iterator[slice]:
    """Users, whose prompts are of ``lengths``, in passes of about equal size.

    None is much above `READ_TOKENS`, but for a prompt that is so alone.
    """
    tokens = lengths.cumsum()
    count = -(-int(tokens[-1]) // READ_TOKENS.get(device.type, READ_TOKENS["cuda"]))
    stops = np.searchsorted(tokens, tokens[-1] * np.arange(1, count + 1) / count)
    start = 0
    for stop in np.unique(stops + 1).tolist():
        yield slice(start, min(stop, len(lengths)))
        start = stop


def _attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,  # noqa: ARG001  # `Reading` has the mask
    *,
    reading: Reading,
    scaling: float | None = None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """Attention of one layer over a flat row: ``query`` (1, H, X, d), ``key`` and ``value`` (1, J, X, d)."""
    _refuse(options, reading.reach)
    q_XHd, k_XJd, v_XJd = (states[0].transpose(0, 1) for states in (query, key, value))
    reading.cache.write(module.layer_idx, k_XJd, v_XJd, reading.cells_X)
    keys, values = reading.cache.read(module.layer_idx, reading.users, reading.span)
    heads, key_heads, users = q_XHd.shape[1], k_XJd.shape[1], len(keys)
    group = heads // key_heads
    if reading.slots_X is not None:
        q_XHd = q_XHd.new_zeros(users * reading.queries, *q_XHd.shape[1:]).index_copy_(0, reading.slots_X, q_XHd)
    q_UnHd = q_XHd.reshape(users, reading.queries, heads, -1)
    if q_XHd.device.type == "cpu" and _is_small(reading, users * heads):
        out = _plain_attention(q_UnHd, keys, values, reading.bias, scaling or q_XHd.shape[-1] ** -0.5)
    elif reading.mask is None:
        out = F.scaled_dot_product_attention(
            q_UnHd.transpose(1, 2), keys, values, is_causal=True, scale=scaling, enable_gqa=group > 1
        ).transpose(1, 2)
    else:  # heads that share keys go side by side as queries: kernels that take masks take no groups
        folded = q_UnHd.view(users, reading.queries, key_heads, group, -1).permute(0, 2, 3, 1, 4).flatten(2, 3)
        mask = reading.mask.repeat(1, group, 1)[:, None]
        out = F.scaled_dot_product_attention(folded, keys, values, attn_mask=mask, scale=scaling)
        out = out.view(users, key_heads, group, reading.queries, -1).permute(0, 3, 1, 2, 4)
    out_XHd = out.reshape(users * reading.queries, heads, -1)
    return (out_XHd if reading.slots_X is None else out_XHd[reading.slots_X])[None], None


def _is_small(reading: Reading, rows: int) -> bool:
    short = reading.mask is not None or reading.span <= SMALL_SPAN
    return short and rows * reading.queries * reading.span <= SMALL_SCORES


def _plain_attention(
    q_UnHd: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, bias: torch.Tensor, scale: float
) -> torch.Tensor:
    """Scores in the model's precision, softmax in float32: (U, n, J, G, d) from keys and values (U, J, span, d)."""
    users, queries, heads, width = q_UnHd.shape
    key_heads, span = keys.shape[1:3]
    group = heads // key_heads
    folded = q_UnHd.view(users, queries, key_heads, group, width).permute(0, 2, 3, 1, 4).flatten(2, 3)
    scores = torch.matmul(folded, keys.transpose(2, 3)).view(users, key_heads, group, queries, span)
    weights = torch.add(bias, scores, alpha=scale).softmax(-1).to(values.dtype)
    out = torch.matmul(weights.view(users, key_heads, group * queries, span), values)
    return out.view(users, key_heads, group, queries, -1).permute(0, 3, 1, 2, 4)


def _refuse(options: dict[str, Any], reach: int) -> None:
    """Raise for what a model asks of its attention and this one does not do."""
    window = options.get("sliding_window")
    if window is not None and reach > window:
        raise InputError(
            f"The model looks back {window} tokens, a prompt and its answer take {reach}", "Lower align.max_history"
        )
    odd = [name for name in ("softcap", "position_bias", "s_aux") if options.get(name) is not None]
    if odd:
        raise ArtifactError(
            f"The model's attention asks for {', '.join(odd)}, which shared prompts do not have",
            "Choose a base model with plain attention, such as Qwen3, Llama or GPT-2",
        )


@contextmanager
def shared_prompts(model: Any) -> Iterator[None]:
    """Within, the model's layers attend by `Reading`: each forward pass must be given one as ``reading``.

    One thread at a time, because the attention is the model's, not the call's; others wait.
    """
    from transformers import AttentionInterface

    with _lock_of(model):
        AttentionInterface.register(ATTENTION, _attend)
        before = model.config._attn_implementation
        model.set_attn_implementation(ATTENTION)
        try:
            yield
        finally:
            model.set_attn_implementation(before)


_locks: WeakKeyDictionary[Any, threading.RLock] = WeakKeyDictionary()
_locks_lock = threading.Lock()


def _lock_of(model: Any) -> threading.RLock:
    with _locks_lock:
        return _locks.setdefault(model, threading.RLock())

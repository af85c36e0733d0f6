"""Attention over packed rows in which every segment is looked at on its own.

A mask over whole rows makes every position score all positions of its row, and lets no causal kernel be used. Here
segments of about the same length lie side by side for as long as the attention takes (a stack), and each scores itself
alone, after the opening that it shares with others, if any; everything else of the model keeps its rows. It is Hugging
Face's own extension point (`AttentionInterface`).

R rows, T positions, X = R * T places, U segments of a stack, n positions of its longest, H query heads,
J key heads, G = H / J, d head width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Self, cast

import numpy as np
import torch
from torch.nn import functional as F

from semconv.artifacts.ragged import Int64

ATTENTION = "semconv_packed"
FULL = 0.6
"""Least length of a segment over the longest of its stack: fewer stacks against less padding."""
SHORT = 16
"""Segments up to this length share a stack whatever the rest of it is."""
PLAIN = 256
"""On a CPU plain products beat the fused kernel on segments up to this length, backward above all."""
NONE = -1
"""In the place of a stack: there is no opening."""
_OTHERS = ("softcap", "position_bias", "s_aux", "cache")
"""Options of a layer that are left to Hugging Face's own attention."""


class Stack(NamedTuple):
    """U segments of at most n positions; ``opening``: the stack of the one segment that all these follow, or `NONE`."""

    segments: int
    width: int
    opening: int


@dataclass(frozen=True)
class Stacks:
    """Where the places of packed rows lie while they attend: int64, the slot of each, counted along all stacks.

    ``mask`` is what the model is given for those rows: a layer that makes another of it attends as it was written.
    """

    slots_X: torch.Tensor
    stacks: tuple[Stack, ...]
    mask: torch.Tensor | None = None

    @classmethod
    def of(cls, segments_RT: Int64, follows: Int64 | None = None) -> Self:
        """Of rows whose segments are runs of one number; what holds nothing counts as a segment too.

        ``follows`` int64, by the number of a segment: the number of the one that it goes on from, 0 for none.
        """
        begins = np.ones(segments_RT.shape, np.bool_)
        begins[:, 1:] = segments_RT[:, 1:] != segments_RT[:, :-1]
        starts = np.flatnonzero(begins)
        lengths = np.diff(starts, append=segments_RT.size)
        numbers = segments_RT.ravel()[starts]
        followed = np.zeros_like(numbers) if follows is None else follows[numbers]
        alone = np.isin(numbers, followed[followed > 0])
        ordered = np.lexsort((-lengths, followed, ~alone))
        first_slots, found = np.zeros(len(lengths), np.int64), list[Stack]()
        stack_of = {0: NONE}
        begin = used = 0
        while begin < len(ordered):
            first = ordered[begin]
            width = int(lengths[first])
            least = FULL * width if width > SHORT else 1
            rest = ordered[begin:]
            fits = (followed[rest] == followed[first]) & (lengths[rest] >= least) & ~alone[first]
            stop = begin + max(1, int(np.argmin(np.append(fits, False))))
            if alone[first]:
                stack_of[int(numbers[first])] = len(found)
            first_slots[ordered[begin:stop]] = used + width * np.arange(stop - begin)
            found.append(Stack(stop - begin, width, stack_of[int(followed[first])]))
            used += width * (stop - begin)
            begin = stop
        slots_X = np.repeat(first_slots - starts, lengths) + np.arange(segments_RT.size)
        return cls(torch.from_numpy(slots_X), tuple(found))

    @property
    def sizes(self) -> list[int]:
        """Slots of every stack."""
        return [stack.segments * stack.width for stack in self.stacks]

    @property
    def spared(self) -> int:
        """Places that it would take to repeat openings before all but one of the segments that follow them."""
        shared = {stack.opening for stack in self.stacks} - {NONE}
        repeated = sum(
            stack.segments * self.stacks[stack.opening].width for stack in self.stacks if stack.opening != NONE
        )
        return repeated - sum(self.stacks[number].width for number in shared)


def attend_by_segment(model: Any) -> bool:
    """Have a Hugging Face model's layers attend so wherever they are given ``stacks``; whether it lets us.

    Without them, or where a layer asks for more than plain attention, they attend as before.
    """
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    fit = model.config._attn_implementation == "sdpa" and model._supports_attention_backend
    if fit:
        AttentionInterface.register(ATTENTION, _attend)
        AttentionMaskInterface.register(ATTENTION, sdpa_mask)
        model.set_attn_implementation(ATTENTION)
    return bool(fit)


def _attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    stacks: Stacks | None = None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """Attention of one layer: ``query`` (R, H, T, d), ``key`` and ``value`` (R, J, T, d); the result (R, T, H, d)."""
    if stacks is None or attention_mask is not stacks.mask or any(options.get(name) is not None for name in _OTHERS):
        if stacks is not None and stacks.spared:
            raise TypeError("texts that share an opening attend plainly or not at all")
        from transformers.integrations.sdpa_attention import sdpa_attention_forward

        return sdpa_attention_forward(module, query, key, value, attention_mask, dropout, scaling, **options)
    rows, heads, positions, _ = query.shape
    into, out_of = cast(Any, _IntoSlots.apply), cast(Any, _OutOfSlots.apply)
    q, k, v = (
        into(_places(states, value.dtype), stacks.slots_X, sum(stacks.sizes)).split(stacks.sizes)
        for states in (query, key, value)
    )
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    attended = []
    for number, (segments, width, opening) in enumerate(stacks.stacks):
        three = [states[number].view(segments, width, *states[number].shape[1:]) for states in (q, k, v)]
        if opening != NONE:  # with its queries too, so that attention stays plainly causal; they are dropped again
            before = [states[opening].expand(segments, *states[opening].shape) for states in (q, k, v)]
            three = [torch.cat(pair, dim=1) for pair in zip(before, three, strict=True)]
        out_UnHd = _stack(three[0], three[1], three[2], dropout, scale)
        attended.append(out_UnHd[:, out_UnHd.shape[1] - width :].flatten(0, 1))
    out_XHd: torch.Tensor = out_of(torch.cat(attended), stacks.slots_X)
    return out_XHd.view(rows, positions, heads, -1), None


def _places(states: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """(X, heads, d) of (R, heads, T, d); under autocast, what was normalised comes in float32."""
    return states.to(dtype).transpose(1, 2).flatten(0, 1)


def _stack(
    q_UnHd: torch.Tensor, k_UnJd: torch.Tensor, v_UnJd: torch.Tensor, dropout: float, scale: float
) -> torch.Tensor:
    """Causal attention within each segment, (U, n, H, d). What lies after a segment's end is seen by nothing of it."""
    users, width, key_heads, _ = k_UnJd.shape
    group = q_UnHd.shape[2] // key_heads
    if q_UnHd.device.type != "cpu" or width > PLAIN:
        q, k, v = (states.transpose(1, 2) for states in (q_UnHd, k_UnJd, v_UnJd))
        out = F.scaled_dot_product_attention(
            q, k, v, dropout_p=dropout, is_causal=True, scale=scale, enable_gqa=group > 1
        )
        return out.transpose(1, 2)
    folded = q_UnHd.view(users, width, key_heads, group, -1).permute(0, 2, 3, 1, 4).flatten(2, 3)
    scores = torch.matmul(folded, k_UnJd.permute(0, 2, 3, 1)).view(users, key_heads, group, width, width)
    later = torch.ones(width, width, dtype=torch.bool).triu(1)
    bias = torch.zeros(width, width).masked_fill_(later, -torch.inf)
    weights = torch.add(bias, scores, alpha=scale).softmax(-1).to(v_UnJd.dtype)
    if dropout:
        weights = F.dropout(weights, dropout)
    out = torch.matmul(weights.flatten(2, 3), v_UnJd.transpose(1, 2)).view(users, key_heads, group, width, -1)
    return out.permute(0, 3, 1, 2, 4).flatten(2, 3)


class _IntoSlots(torch.autograd.Function):
    """Zeros but for the given rows at the given slots; each slot is given at most one row."""

    @staticmethod
    def forward(ctx: Any, given: torch.Tensor, slots_X: torch.Tensor, slots: int) -> torch.Tensor:
        ctx.save_for_backward(slots_X)
        return given.new_zeros(slots, *given.shape[1:]).index_copy_(0, slots_X, given)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        return gradients[0].index_select(0, *ctx.saved_tensors), None, None


class _OutOfSlots(torch.autograd.Function):
    """The rows at the given slots."""

    @staticmethod
    def forward(ctx: Any, given: torch.Tensor, slots_X: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(slots_X)
        ctx.slots = len(given)
        return given.index_select(0, slots_X)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        (gradient,) = gradients
        (slots_X,) = ctx.saved_tensors
        return gradient.new_zeros(ctx.slots, *gradient.shape[1:]).index_copy_(0, slots_X, gradient), None

"""How much memory a batch takes while it is searched, and the largest batch that fits.

    peak = weights + fixed + users * per_user        (bytes, an upper bound, a tenth of it for the allocator's gaps)

With T prompt tokens, K beams, L levels, E bytes a number, and a backbone of N layers, width D, feed-forward width F, H
query and J key heads of width d, C codes per level, a token under way takes

    A = E (8 D + 3 (H + 2 J) d + 4 F) + 12 D

and a pass reads at most R (`READ_TOKENS`) of them, and one user's more: T tokens of a prompt, or (L - 1) K that beams
feed at once where single-child codes had waited; its attention holds 12 bytes for each of up to `SMALL_SCORES` scores.
Per user the token spelling keeps

    cache    2 E N J d (T + (L - 1) K)
    step     8 C K, and for the mask (L - 1) K (T + (L - 1) K) (1 + H / J)

The compact spelling keeps no cache after a pass; a beam takes 7 E times the depth decoder's width, and 8 C for its
scores. Scoring whole items comes after that, in its place: 4 E (D + 1) a beam, and what encoding them takes.

The search itself holds `CANDIDATE` bytes for each child of a live beam. The trie bounds how many there are: at each
level those of the K nodes that have most.

The formula counts tensors that are alive. What the C library keeps of freed ones comes on top: glibc, left to raise its
threshold, was seen to raise the peak by two thirds. Batches are therefore sized for half of what is free
(`recommend.generative`).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import torch

from semconv.llm.code_head import LOGITS
from semconv.llm.prompt_cache import READ_TOKENS, SMALL_SCORES
from semconv.llm.trie import Trie

GAPS = 1.1
CGROUP = Path("/sys/fs/cgroup")
CANDIDATE = 120
"""Bytes that the search holds for a candidate: its scores, node, beam and sort key, and copies under way."""


class Memory(NamedTuple):
    """Bytes above the weights: ``fixed``, and ``per_user`` of the batch."""

    fixed: int
    per_user: int

    def users(self, budget: int) -> int:
        """The largest batch that fits into ``budget`` bytes; 1 if none does."""
        return max(1, int(budget / GAPS - self.fixed) // self.per_user)

    def peak(self, users: int) -> int:
        """What a batch takes at most."""
        return int(GAPS * (self.fixed + users * self.per_user))

    def __add__(self, other: Memory) -> Memory:  # type: ignore[override]  # a sum of needs, not of tuples
        """What both take together."""
        return Memory(self.fixed + other.fixed, self.per_user + other.per_user)


def prompts_memory(model: Any, prompt: int, beams: int, levels: int, codes: int) -> Memory:
    """A causal LM over prompts of at most ``prompt`` tokens; see the module's text."""
    size, tokens = _number(model), prompt + beams * (levels - 1)
    _, heads, key_heads, _ = _attention(model.config)
    held = LOGITS.get(model.device.type, LOGITS["cuda"])
    fed = beams * (levels - 1)
    step = 8 * codes * beams + fed * tokens * (1 + heads // key_heads)
    read = READ_TOKENS.get(model.device.type, READ_TOKENS["cuda"]) + max(prompt, fed)
    fixed = read * token_memory(model) + held * (size + 8) + 12 * SMALL_SCORES
    return Memory(fixed, cell_memory(model) * tokens + step)


def positions_memory(backbone: Any, positions: int, step: int) -> Memory:
    """A backbone that reads at most ``positions`` a user and keeps nothing, and ``step`` bytes a user after it."""
    read = READ_TOKENS.get(backbone.device.type, READ_TOKENS["cuda"]) + positions
    return Memory(read * (token_memory(backbone) + cell_memory(backbone)) + 12 * SMALL_SCORES, step)


def cell_memory(backbone: Any) -> int:
    """Bytes of one token's keys and values in all layers."""
    layers, _, key_heads, head_width = _attention(backbone.config)
    return 2 * _number(backbone) * layers * key_heads * head_width


def token_memory(backbone: Any) -> int:
    """Bytes that one token under way takes (A)."""
    config = backbone.config
    _, heads, key_heads, head_width = _attention(config)
    width = config.hidden_size
    feed_forward = getattr(config, "intermediate_size", None) or getattr(config, "n_inner", None) or 4 * width
    numbers = 8 * width + 3 * (heads + 2 * key_heads) * head_width + 4 * feed_forward
    return int(_number(backbone) * numbers + 12 * width)


def search_memory(trie: Trie, beams: int) -> Memory:
    """The candidates of one user's beams at the level that has most of them, and the beams' prefixes, twice."""
    widest = 0
    for level, offsets in enumerate(trie.offsets):
        counts = offsets.diff()
        widest = max(widest, int(counts.topk(min(beams if level else 1, len(counts))).values.sum()))
    return Memory(0, CANDIDATE * widest + 2 * 4 * trie.levels * min(beams, len(trie.items)))


def free_memory(device: torch.device) -> int:
    """Bytes that could still be taken on a device; within a container, at most what its limit leaves."""
    if device.type == "cuda":
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0]) + unused
    return min(int(psutil.virtual_memory().available), _below_limit(CGROUP))


def _below_limit(folder: Path) -> int:
    """Bytes below the memory limit of a control group (version 2); without bound where there is none."""
    try:
        limit, taken = ((folder / name).read_text().strip() for name in ("memory.max", "memory.current"))
    except OSError:
        return sys.maxsize
    return sys.maxsize if limit == "max" else max(0, int(limit) - int(taken))


def _attention(config: Any) -> tuple[int, int, int, int]:
    """Layers, query heads, key heads, width of a head."""
    heads = config.num_attention_heads
    head_width = getattr(config, "head_dim", None) or config.hidden_size // heads
    return config.num_hidden_layers, heads, getattr(config, "num_key_value_heads", None) or heads, head_width


def _number(model: Any) -> int:
    """Bytes of one of a model's numbers."""
    return int(next(model.parameters()).element_size())

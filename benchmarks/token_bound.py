"""How many tokens a language model must read for one search, whatever the implementation.

A prompt's tokens are read once; then, once each, the codes that lead to a question. Full scoring asks how every live
beam goes on, legal scoring asks about those that the catalogue continues in more than one way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from semconv.artifacts.ragged import Int32
from semconv.behaviour.ordering import NO_ITEM
from semconv.llm.causal import CausalBeamModel
from semconv.llm.search import Scoring, beam_search
from semconv.llm.trie import Trie


def token_bound(
    model: Any, tokens_LC: torch.Tensor, codes_NL: Int32, prompts: Sequence[Int32], beams: int, scoring: Scoring
) -> int:
    """Tokens of all prompts, and of the codes on the way to every question.

    The live beams of a level are what a search of the catalogue cut off at that level finds; what that one feeds plays
    no part.
    """
    said: set[tuple[int, ...]] = set()
    for level in range(1, len(tokens_LC)):
        longer_Nl = np.unique(codes_NL[:, : level + 1], axis=0)
        prefixes_Nl, ways_N = np.unique(longer_Nl[:, :level], axis=0, return_counts=True)
        cut_off = CausalBeamModel(model, tokens_LC[:level], lambda prompt: prompt)
        trie = Trie.build(prefixes_Nl.astype(np.int32), tokens_LC.shape[1]).to(model.device)
        found = beam_search(cut_off, trie, prompts, beams, beams, scoring)
        for user, live in enumerate(found.items):
            asked = [i for i in live[live != NO_ITEM] if scoring == "full" or ways_N[i] > 1]
            said |= {(user, *prefixes_Nl[i, :length].tolist()) for i in asked for length in range(1, level + 1)}
    return sum(map(len, prompts)) + len(said)

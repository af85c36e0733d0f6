"""A beam model whose log-probabilities lie in tables, and the ranking that follows from them by brute force."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from semconv.llm.protocol import Extended


class TableModel:
    """For history [u], the log-probabilities of level l after any prefix: row of ``tables[l]``, (U, C^l, C)."""

    def __init__(self, users: int, levels: int, codes: int, seed: int = 0, coarse: bool = False) -> None:
        self.levels, self.codes = levels, codes
        generator = torch.Generator().manual_seed(seed)
        logits = [torch.randn(users, codes**level, codes, generator=generator) for level in range(levels)]
        if coarse:
            logits = [table.round() for table in logits]
        self.tables = [table.log_softmax(-1) if not coarse else table for table in logits]
        self.catalogue: int | None = None
        self.batches: list[int] = []
        self.asked: list[int] = []
        self.fits = 10**9
        self.items_UN: torch.Tensor | None = None

    def start(self, histories: Sequence[Any], beams: int, *, normalised: bool) -> tuple[Any, torch.Tensor]:
        if len(histories) > self.fits:
            raise torch.OutOfMemoryError("CUDA out of memory")
        self.batches.append(len(histories))
        users = torch.tensor([int(history[0]) for history in histories])
        prefixes = torch.zeros(len(users), 1, dtype=torch.long)
        return (users, prefixes), self._said(self.tables[0][users, 0], normalised)

    def step(self, state: Any, level: int, beams: Extended, *, normalised: bool) -> Any:
        users, prefixes = state
        prefixes = prefixes.gather(1, beams.parents_BK) * self.codes + beams.codes_BK
        self.asked.append(int(beams.asked_BK.sum()))
        scores_BKC = self.tables[level][users.unsqueeze(1), prefixes]
        return (users, prefixes), self._said(scores_BKC[beams.asked_BK], normalised)

    def finish(self, state: Any, items_T: torch.Tensor, rows_T: torch.Tensor) -> torch.Tensor | None:
        return None if self.items_UN is None else self.items_UN[state[0][rows_T], items_T]

    def _said(self, scores_XC: torch.Tensor, normalised: bool) -> torch.Tensor:
        """Rows that need not be normalised are off by constants."""
        shift_X1 = torch.arange(len(scores_XC)).unsqueeze(1) % 5
        return scores_XC if normalised else scores_XC + shift_X1

    def after(self, user: int, prefix: Sequence[int]) -> torch.Tensor:
        row = sum(code * self.codes**place for place, code in enumerate(reversed(prefix)))
        return self.tables[len(prefix)][user, row]


def histories(users: int) -> list[Any]:
    return [np.array([user], np.int32) for user in range(users)]


def brute_force(
    model: TableModel,
    user: int,
    codes: Any,
    k: int,
    scoring: str,
    counts: Any = None,
    legal: set[int] | None = None,
) -> tuple[list[int], list[float]]:
    """Every item scored one by one, sorted as the search documents; at most k of the legal ones."""
    rows = [tuple(int(code) for code in row) for row in codes]
    tables = [table[user].numpy() for table in model.tables]
    ranked = []
    for item, row in enumerate(rows):
        score, prefix = np.float32(0), 0
        for level, code in enumerate(row):
            logp = np.maximum(tables[level][prefix], np.float32(-1e30))
            if scoring == "legal":
                alternatives = sorted({other[level] for other in rows if other[:level] == row[:level]})
                logp = logp - np.logaddexp.reduce(logp[alternatives])
            score = np.float32(score + logp[code])
            prefix = prefix * model.codes + code
        if model.items_UN is not None:
            score = np.float32(score + model.items_UN[user, item].numpy())
        ranked.append((-score, row, -(counts[item] if counts is not None else 0), item))
    ranked = [entry for entry in sorted(ranked) if legal is None or entry[-1] in legal][:k]
    return [entry[-1] for entry in ranked], [float(-entry[0]) for entry in ranked]

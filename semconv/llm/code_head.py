"""The output projection, multiplied out only where the search looks.

X hidden states, D width, V vocabulary, L levels, C codes per level.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional as F

from semconv.errors import ArtifactError
from semconv.llm.logits import LogitRule

LOGITS = {"cpu": 2**20, "cuda": 2**27}
"""Logits held at a time while the whole vocabulary is summed over, by device: what stays in a CPU's cache."""


class CodeHead:
    """Scores of one level's codes under a language model's output projection."""

    def __init__(self, model: Any, tokens_LC: torch.Tensor) -> None:
        """``tokens_LC`` int64: the token of every code. Raises `ArtifactError` when one is outside the vocabulary."""
        self._projection = model.get_output_embeddings()
        self._finished = LogitRule.of(model.config)
        self._tokens_LC = tokens_LC.to(model.device)
        vocabulary = min(table.weight.shape[0] for table in (model.get_input_embeddings(), self._projection))
        if int(tokens_LC.max()) >= vocabulary:
            raise ArtifactError(
                f"Code tokens reach {int(tokens_LC.max())}, the model's vocabulary ends at {vocabulary - 1}",
                "Use the tokenizer that was saved with the model",
            )

    def __call__(self, hidden_XD: torch.Tensor, level: int, *, normalised: bool) -> torch.Tensor:
        """Float32 (X, C): log-probabilities over the whole vocabulary, or bare logits unless ``normalised``."""
        weight_VD, bias_V = self._projection.weight, getattr(self._projection, "bias", None)
        tokens_C = self._tokens_LC[level]
        bias_C = None if bias_V is None else bias_V[tokens_C]
        rows_XC = self._finished(F.linear(hidden_XD, weight_VD[tokens_C], bias_C)).float()
        if not normalised:
            return rows_XC
        return rows_XC - self._normaliser(hidden_XD)[:, None]

    def _normaliser(self, hidden_XD: torch.Tensor) -> torch.Tensor:
        """Log-sum-exp over the vocabulary, (X,), a slice of the vocabulary at a time."""
        weight_VD, bias_V = self._projection.weight, getattr(self._projection, "bias", None)
        held = LOGITS.get(hidden_XD.device.type, LOGITS["cuda"])
        size = max(1, held // max(1, len(hidden_XD)))
        parts = []
        for start in range(0, len(weight_VD), size):
            rows = slice(start, start + size)
            logits = self._finished(F.linear(hidden_XD, weight_VD[rows], None if bias_V is None else bias_V[rows]))
            parts.append(logits.float().logsumexp(-1))
        return torch.stack(parts).logsumexp(0)

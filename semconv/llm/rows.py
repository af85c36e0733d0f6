"""Rows of the vocabulary that are trained on their own: those of the code tokens, which mean nothing at first.

R rows, V vocabulary, D width.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn


class RowGate:
    """Lets gradients through to some rows of the vocabulary's tables only.

    ``tables`` are the input embedding, and the output projection where it is another matrix. Where the rest of these
    tables is ``frozen``, its rows are never updated, though the optimizer holds moments for them. While ``alone`` is
    set, nothing but the rows gets a gradient, so that neither moments nor the gradient's norm know of anything else.
    """

    def __init__(self, model: Any, rows_R: torch.Tensor, *, frozen: bool) -> None:
        """``model`` a Hugging Face causal LM, ``rows_R`` int64; every other trained parameter is gated by ``alone``."""
        self.alone = False
        self._rows_R, self._frozen = rows_R, frozen
        given, said = model.get_input_embeddings().weight, model.get_output_embeddings().weight
        self.tables: list[nn.Parameter] = [given] if said is given else [given, said]
        for table in self.tables:
            table.requires_grad_(True)
            _hook(table, self._rows_only)
        for parameter in model.parameters():
            if parameter.requires_grad and not any(parameter is table for table in self.tables):
                _hook(parameter, self._nothing)

    def __contains__(self, parameter: nn.Parameter) -> bool:
        """Whether the parameter is one of the tables."""
        return any(parameter is table for table in self.tables)

    def _rows_only(self, gradient_VD: torch.Tensor) -> torch.Tensor:
        if not (self._frozen or self.alone):
            return gradient_VD
        if self._rows_R.device != gradient_VD.device:
            self._rows_R = self._rows_R.to(gradient_VD.device)
        return torch.zeros_like(gradient_VD).index_copy_(0, self._rows_R, gradient_VD.index_select(0, self._rows_R))

    def _nothing(self, gradient: torch.Tensor) -> torch.Tensor:
        return torch.zeros_like(gradient) if self.alone else gradient


def _hook(parameter: Any, change: Callable[[torch.Tensor], torch.Tensor]) -> None:
    """Have a parameter's gradient changed before it is added up."""
    parameter.register_hook(change)


def gate_of(model: nn.Module) -> RowGate | None:
    """The gate that a model holds, if any."""
    found = getattr(model, "gate", None)
    return found if isinstance(found, RowGate) else None

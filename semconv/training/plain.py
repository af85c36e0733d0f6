"""One process, plain torch: for tests, small machines and a bare GPU box."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from semconv.llm.rows import gate_of
from semconv.precision import Precision
from semconv.training.engine import Step
from semconv.training.optim import parameter_groups, set_learning_rate

_FILE = "plain.pt"


class PlainEngine:
    """An `Engine` of one rank. In bf16 the weights stay float32 and the arithmetic is cast."""

    rank = 0
    world = 1

    def __init__(
        self, model: nn.Module, *, weight_decay: float = 0.0, clip: float = 1.0, precision: Precision = "float32"
    ) -> None:
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._model = model.to(self._device).train()
        self._clip = clip
        self.precision = precision
        self._optimizer = torch.optim.AdamW(parameter_groups(model, weight_decay), betas=(0.9, 0.98), fused=True)
        self._parameters = [p for p in model.parameters() if p.requires_grad]
        self._gate = gate_of(model)

    def step(self, parts: Sequence[Any], learning_rate: float, *, rows_alone: bool = False) -> Step:
        """See `Engine`."""
        rows_alone = rows_alone and self._gate is not None
        if self._gate is not None:
            self._gate.alone = rows_alone
        set_learning_rate(self._optimizer.param_groups, learning_rate, rows_alone=rows_alone)
        losses = []
        for part in parts:
            with torch.autocast(self._device.type, torch.bfloat16, enabled=self.precision == "bf16"):
                loss: torch.Tensor = self._model(part.to(self._device))
            torch.autograd.backward(loss)
            losses.append(loss.detach())
        norm = torch.nn.utils.clip_grad_norm_(self._parameters, self._clip)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        return Step(torch.stack(losses).sum(), norm)

    def total(self, values: torch.Tensor) -> torch.Tensor:
        """See `Engine`."""
        return values.cpu()

    @contextmanager
    def evaluating(self) -> Iterator[nn.Module]:
        """See `Engine`."""
        self._model.eval()
        try:
            yield self._model
        finally:
            self._model.train()

    def weights(self) -> dict[str, torch.Tensor]:
        """See `Engine`."""
        return {
            name: parameter.detach().to("cpu", torch.float32, copy=True)
            for name, parameter in self._model.named_parameters()
            if parameter.requires_grad
        }

    def save(self, folder: Path) -> None:
        """See `Engine`."""
        torch.save({"weights": self.weights(), "optimizer": self._optimizer.state_dict()}, folder / _FILE)

    def load(self, folder: Path) -> None:
        """See `Engine`."""
        state = torch.load(folder / _FILE, weights_only=True, map_location=self._device)
        put_weights(self._model, state["weights"])
        self._optimizer.load_state_dict(state["optimizer"])


def put_weights(model: nn.Module, weights: dict[str, torch.Tensor]) -> None:
    """Copy what `Engine.weights` returned into a model built as the one that was trained."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                parameter.copy_(weights[name])

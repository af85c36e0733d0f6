"""Fitting SASRec: softmax over the whole catalogue at every position (Klenitskiy & Vasilev 2023)."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch

from semconv.artifacts import Ragged, Split
from semconv.behaviour.packing import windows
from semconv.behaviour.sasrec import Sasrec
from semconv.behaviour.softmax_loss import full_softmax_loss
from semconv.behaviour.training import Epoch, train
from semconv.config import SasrecSettings
from semconv.precision import precision_on
from semconv.progress import Report, silent


def fit_sasrec(
    training: Ragged,
    n_items: int,
    valid: Split,
    settings: SasrecSettings,
    *,
    seed: int,
    report: Report = silent,
    device: str = "cpu",
) -> tuple[Sasrec, list[Epoch]]:
    """Train on ``training`` alone and return the weights that ranked the validation items best, with the curve.

    ``valid`` decides only when to stop; without validation users the last epoch's weights are kept. The same seed,
    machine and thread count give the same weights to the last digit on CPU.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Sasrec(n_items, settings).to(device)
        trainee = _SasrecTrainee(model, windows(training, settings.max_history), settings)
        fitted, curve = train(trainee, valid, settings, seed=seed, report=report)
        return fitted.eval(), curve


class _SasrecTrainee:
    """A `Trainee`."""

    name = Sasrec.name

    def __init__(self, model: Sasrec, sequences: Ragged, settings: SasrecSettings) -> None:
        self.weights = model
        self.optimizer = torch.optim.AdamW(
            model.parameters(), lr=settings.learning_rate, betas=(0.9, 0.98), weight_decay=settings.weight_decay
        )
        self.steps = math.ceil(len(sequences) / settings.batch_size)
        self._sequences = sequences
        self._batch_size = settings.batch_size
        precision = precision_on(model.item_vectors.device.type, settings.precision)
        self._dtype = torch.bfloat16 if precision == "bf16" else torch.float32

    def losses(self, random: np.random.Generator) -> Iterator[torch.Tensor]:
        """Every sequence once, in a fresh order."""
        self.weights.train()
        order = random.permutation(len(self._sequences))
        for start in range(0, len(order), self._batch_size):
            yield self._loss(self._sequences.take(order[start : start + self._batch_size]))

    def _loss(self, batch: Ragged) -> torch.Tensor:
        items_ND = self.weights.item_vectors
        device = items_ND.device
        with torch.autocast(device.type, self._dtype, enabled=self._dtype != torch.float32):
            hidden_PD = self.weights.hidden(batch.prefix(batch.lengths - 1))
        targets_P = torch.from_numpy(batch.values.astype(np.int64)).to(device)
        return full_softmax_loss(hidden_PD, items_ND, targets_P, self._dtype)

    def encoder(self) -> Sasrec:
        """The model itself."""
        return self.weights

"""Fitting an encoder: epochs, validation after each, and an early stop; the same for every encoder."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
import torch
from torch import nn

from semconv.artifacts import Split
from semconv.behaviour.protocol import BehaviourModel, Encoder
from semconv.config import EncoderSettings
from semconv.errors import ResourceError
from semconv.progress import Report

EVALUATION_BATCH = 512

E = TypeVar("E", bound=Encoder)
E_co = TypeVar("E_co", bound=Encoder, covariant=True)


@dataclass(frozen=True)
class Epoch:
    """One point of the training curve; Recall and NDCG on the validation sample, None without validation users."""

    epoch: int
    loss: float
    recall_at_10: float | None
    ndcg_at_10: float | None


class Trainee(Protocol[E_co]):
    """An encoder while it is fitted."""

    @property
    def name(self) -> str:
        """The encoder's name."""
        ...

    @property
    def weights(self) -> nn.Module:
        """What is learned."""
        ...

    @property
    def optimizer(self) -> torch.optim.Optimizer:
        """What takes the steps."""
        ...

    @property
    def steps(self) -> int:
        """Steps of an epoch."""
        ...

    def losses(self, random: np.random.Generator) -> Iterator[torch.Tensor]:
        """One epoch: the loss of every step, each computed from the weights that the step before left."""
        ...

    def encoder(self) -> E_co:
        """The encoder as the weights are now; it may share them."""
        ...


def train(
    trainee: Trainee[E], valid: Split, settings: EncoderSettings, *, seed: int, report: Report
) -> tuple[E, list[Epoch]]:
    """Fit and return the encoder that ranked the validation items best, by NDCG@10, with the whole curve.

    ``valid`` decides only when to stop and which epoch to keep; without validation users the last epoch is kept.
    """
    random = np.random.default_rng(seed)
    users = sample(valid, settings.validation_users, random)
    total_steps = settings.epochs * trainee.steps
    curve: list[Epoch] = []
    best_ndcg, best_epoch, best_weights = -1.0, 0, copy.deepcopy(trainee.weights.state_dict())
    for epoch in range(settings.epochs):
        total = 0.0
        for step, loss in enumerate(trainee.losses(random)):
            trainee.optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            trainee.optimizer.step()
            total += float(loss.detach())
            if not math.isfinite(total):
                raise ResourceError(
                    f"The loss of {trainee.name} stopped being a number in epoch {epoch + 1}",
                    f"Lower embed.{trainee.name}.learning_rate",
                )
            note = f"{trainee.name} epoch {epoch + 1}, loss {total / (step + 1):.3f}"
            report(epoch * trainee.steps + step + 1, total_steps, note)
        recall, ndcg = validate(trainee.encoder(), users)
        curve.append(Epoch(epoch + 1, total / max(trainee.steps, 1), recall, ndcg))
        if ndcg is None or ndcg > best_ndcg:
            best_ndcg, best_epoch = ndcg or 0.0, epoch
            best_weights = copy.deepcopy(trainee.weights.state_dict())
        elif epoch - best_epoch >= settings.patience:
            break
    trainee.weights.load_state_dict(best_weights)
    return trainee.encoder(), curve


def kept(curve: Sequence[Epoch]) -> Epoch:
    """The epoch of a curve whose weights `train` returned."""
    validated = [point for point in curve if point.ndcg_at_10 is not None]
    return max(validated, key=lambda point: point.ndcg_at_10 or 0.0) if validated else curve[-1]


def validate(model: BehaviourModel, split: Split) -> tuple[float | None, float | None]:
    """Mean Recall@10 and NDCG@10 of the targets among the items not in the history (the target itself always counts).

    None without users. Of items that tie with the target half are taken to rank above it, so that a model which tells
    nothing apart finds nothing; NaN ranks last.
    """
    if not len(split.users):
        return None, None
    hits, gains = 0, 0.0
    for start in range(0, len(split.users), EVALUATION_BATCH):
        rows = np.arange(start, min(start + EVALUATION_BATCH, len(split.users)))
        histories = split.histories.take(rows)
        scores_BN = model.scores(list(histories)).clone()
        targets_B1 = torch.from_numpy(split.targets[rows].astype(np.int64))[:, None]
        target_scores_B1 = scores_BN.gather(1, targets_B1)
        seen = torch.from_numpy(np.repeat(np.arange(len(rows)), histories.lengths))
        scores_BN[seen, torch.from_numpy(histories.values.astype(np.int64))] = float("-inf")
        above_B = (scores_BN > target_scores_B1).sum(dim=1)
        tied_B = ((scores_BN == target_scores_B1).sum(dim=1) - 1).clamp(min=0)
        rank_B = torch.where(target_scores_B1[:, 0].isnan(), scores_BN.shape[1], above_B + tied_B // 2)
        hits += int((rank_B < 10).sum())
        gains += float((1.0 / torch.log2(rank_B[rank_B < 10] + 2.0)).sum())
    return hits / len(split.users), gains / len(split.users)


def sample(split: Split, size: int, random: np.random.Generator) -> Split:
    """At most ``size`` users of the split, drawn once."""
    rows = np.sort(random.permutation(len(split.users))[:size])
    return Split(split.users[rows], split.histories.take(rows), split.targets[rows])

"""Fitting SASRec: softmax over the whole catalogue at every position (Klenitskiy & Vasilev 2023)."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from semconv.artifacts import Ragged, Split
from semconv.behaviour.packing import windows
from semconv.behaviour.sasrec import Sasrec
from semconv.behaviour.softmax_loss import full_softmax_loss
from semconv.config import SasrecSettings
from semconv.progress import Report, silent

EVALUATION_BATCH = 512


@dataclass(frozen=True)
class Epoch:
    """One point of the training curve."""

    epoch: int
    loss: float
    ndcg_at_10: float | None


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
        return _fit(model, windows(training, settings.max_history), valid, settings, seed, report)


def _fit(
    model: Sasrec, sequences: Ragged, valid: Split, settings: SasrecSettings, seed: int, report: Report
) -> tuple[Sasrec, list[Epoch]]:
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=settings.learning_rate, betas=(0.9, 0.98), weight_decay=settings.weight_decay
    )
    random = np.random.default_rng(seed)
    sample = _sample(valid, settings.validation_users, random)
    dtype = torch.bfloat16 if settings.precision == "bf16" else torch.float32
    device = model.item_vectors.device
    curve: list[Epoch] = []
    best_ndcg, best_epoch, best_weights = -1.0, 0, copy.deepcopy(model.state_dict())
    steps = math.ceil(len(sequences) / settings.batch_size)
    for epoch in range(settings.epochs):
        model.train()
        total = 0.0
        for step, batch in enumerate(_batches(sequences, settings.batch_size, random)):
            with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
                hidden_PD = model.hidden(batch.prefix(batch.lengths - 1))
            targets_P = torch.from_numpy(batch.values.astype(np.int64)).to(device)
            loss = full_softmax_loss(hidden_PD, model.item_vectors, targets_P, dtype)
            optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            optimizer.step()
            total += float(loss.detach())
            report(
                epoch * steps + step + 1,
                settings.epochs * steps,
                f"sasrec epoch {epoch + 1}, loss {total / (step + 1):.3f}",
            )
        ndcg = ndcg_at_10(model, sample) if len(sample.users) else None
        curve.append(Epoch(epoch + 1, total / max(steps, 1), ndcg))
        if ndcg is None or ndcg > best_ndcg:
            best_ndcg, best_epoch, best_weights = ndcg or 0.0, epoch, copy.deepcopy(model.state_dict())
        elif epoch - best_epoch >= settings.patience:
            break
    model.load_state_dict(best_weights)
    return model.eval(), curve


def _batches(sequences: Ragged, size: int, random: np.random.Generator) -> Iterator[Ragged]:
    order = random.permutation(len(sequences))
    for start in range(0, len(order), size):
        yield sequences.take(order[start : start + size])


def _sample(split: Split, size: int, random: np.random.Generator) -> Split:
    """At most ``size`` users of the split, drawn once."""
    rows = np.sort(random.permutation(len(split.users))[:size])
    return Split(split.users[rows], split.histories.take(rows), split.targets[rows])


def ndcg_at_10(model: Sasrec, split: Split) -> float:
    """Mean NDCG@10 of the targets among the items that are not in the history (the target itself always counts)."""
    gains = 0.0
    for start in range(0, len(split.users), EVALUATION_BATCH):
        rows = np.arange(start, min(start + EVALUATION_BATCH, len(split.users)))
        histories = split.histories.take(rows)
        scores_BN = model.scores(list(histories))
        targets_B1 = torch.from_numpy(split.targets[rows].astype(np.int64))[:, None]
        target_scores_B1 = scores_BN.gather(1, targets_B1)
        seen = torch.from_numpy(np.repeat(np.arange(len(rows)), histories.lengths))
        scores_BN[seen, torch.from_numpy(histories.values.astype(np.int64))] = float("-inf")
        rank_B = (scores_BN > target_scores_B1).sum(dim=1)
        gains += float((1.0 / torch.log2(rank_B[rank_B < 10] + 2.0)).sum())
    return gains / len(split.users)

"""Settings of SASRec, chosen on validation users: one after the other is moved to its best value.

python -m benchmarks.sasrec_tuning --run runs/beauty --out FILE.json [--workers 2] [--quick]

From the defaults of `semconv.config.SasrecSettings`, a coordinate search over `GRID`, one round of it: the values of
one setting are tried, the best by filtered NDCG@10 is kept, and the next setting is tried with it. Every fit stops
by itself (`PATIENCE`) and is made by a process of one compute thread. ``results.tried``: what every fit reached, by
what it changed of the defaults: ``recall@10``, ``ndcg@10`` (validation users, items of the history left out), the
``epoch`` that was kept and ``seconds``; ``results.chosen``: the settings that were kept. The test split is not opened.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import Executor, ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import torch

from benchmarks.harness import Results, command
from benchmarks.tokens import SEED
from semconv.artifacts import Corpus
from semconv.behaviour.sasrec_training import fit_sasrec
from semconv.behaviour.training import kept
from semconv.config import SasrecSettings

GRID: Mapping[str, tuple[Any, ...]] = {
    "dropout": (0.3, 0.5, 0.7),
    "batch_size": (64, 128, 256),
    "layers": (1, 2, 3),
    "width": (64, 128, 256),
    "learning_rate": (5e-4, 1e-3, 2e-3),
    "weight_decay": (0.0, 0.1),
}
"""What is tried, in this order."""
PATIENCE = 3
"""Validations without a better one, after which a fit is over."""
QUICK: Mapping[str, tuple[Any, ...]] = {"dropout": (0.3, 0.5)}


class Reached(NamedTuple):
    """What one fit came to on validation users."""

    recall: float
    ndcg: float
    epoch: int
    seconds: float


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument("--run", type=Path, required=True, help="folder of a run that was ingested")
    parser.add_argument("--workers", type=int, default=2, help="fits at the same time")


def measure(options: argparse.Namespace) -> Results:
    """One round of the search."""
    corpus = options.run / "corpus"
    grid, epochs = (QUICK, 2) if options.quick else (GRID, SasrecSettings().epochs)
    tried: dict[str, Reached] = {}
    changed: dict[str, Any] = {}
    with ProcessPoolExecutor(options.workers, multiprocessing.get_context("spawn")) as fits:
        for name, values in grid.items():
            moves = {_label(move): move for move in (_changes({**changed, name: value}) for value in values)}
            tried |= _fitted(fits, corpus, (move for label, move in moves.items() if label not in tried), epochs)
            changed = moves[max(moves, key=lambda label: tried[label].ndcg)]
    return {"chosen": _label(changed), "tried": {label: _told(reached) for label, reached in tried.items()}}


def _changes(settings: dict[str, Any]) -> dict[str, Any]:
    """Without what is as it is anyway."""
    defaults = SasrecSettings()
    return {name: value for name, value in settings.items() if value != getattr(defaults, name)}


def _label(changed: dict[str, Any]) -> str:
    return json.dumps(changed, sort_keys=True) if changed else "defaults"


def _fitted(fits: Executor, corpus: Path, moves: Iterable[dict[str, Any]], epochs: int) -> dict[str, Reached]:
    running = {_label(move): fits.submit(reached, corpus, move, epochs) for move in moves}
    found: dict[str, Reached] = {}
    for label, future in running.items():
        found[label] = future.result()
        print(label, _told(found[label]), flush=True)
    return found


def reached(corpus: Path, changed: dict[str, Any], epochs: int) -> Reached:
    """Fit with these changes of the defaults, in at most so many epochs."""
    torch.set_num_threads(1)
    opened, began = Corpus.open(corpus), time.monotonic()
    settings = SasrecSettings(**{"epochs": epochs, "patience": PATIENCE, **changed})
    _, curve = fit_sasrec(opened.training(), opened.n_items, opened.split("valid"), settings, seed=SEED)
    best = kept(curve)
    return Reached(best.recall_at_10 or 0.0, best.ndcg_at_10 or 0.0, best.epoch, time.monotonic() - began)


def _told(reached: Reached) -> dict[str, float]:
    return {
        "recall@10": reached.recall,
        "ndcg@10": reached.ndcg,
        "epoch": reached.epoch,
        "seconds": reached.seconds,
    }


if __name__ == "__main__":
    command("sasrec_tuning", measure, arguments)

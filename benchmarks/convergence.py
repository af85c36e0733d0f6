"""What each source of evidence is worth to the blend, on validation users.

python -m benchmarks.convergence --run runs/beauty --out FILE.json [--seeds N] [--users N] [--quick]

Evidence is gathered as the stage ``converge`` gathers it, once. Then the blend of all sources and
the one without each of them are fitted by five-fold cross-validation, once a seed: no user is ranked for by a blend
that was fitted on that user. ``results.all`` and ``results.without.<source>``: ``recall@10``, ``ndcg@10``, filtered,
means over seeds; for a source, ``worth``: what the blend of all sources is better by in NDCG@10, with ``low`` and
``high``, its 95% interval by users (normal, of their differences averaged over seeds), and ``by_seed``. Besides,
``results.users`` and ``results.candidates_hold_target``. The test split is not opened.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.harness import command
from semconv.artifacts import Convergence, Run
from semconv.artifacts.ragged import Int64
from semconv.behaviour.training import sample
from semconv.config import ConvergeSettings, RecommendSettings
from semconv.recommend.blend_fitting import CUT, Lesson, figures, gains, held_out, joined
from semconv.recommend.evidence import gather
from semconv.recommend.load import Opened

BATCH = 128


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument("--run", type=Path, required=True, help="folder of a run that was converged")
    parser.add_argument("--seeds", type=int, default=3, help="how often each blend is fitted")
    parser.add_argument("--users", type=int, default=10_000, help="validation users, at most")


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """All sources, and all but each."""
    run = Run(str(options.run.parent), options.run.name)
    blend = Convergence.open(run.artifact("blend"))
    told = blend.manifest.settings
    chosen = ConvergeSettings(**told["converge"])
    users = 500 if options.quick else options.users
    lesson = gathered(Opened(run), searched(blend), users, told["seed"])
    seeds = range(1 if options.quick else options.seeds)
    reached = {"": [_ranks(lesson, chosen, seed) for seed in seeds]}
    found: dict[str, Any] = {}
    for source in lesson.evidence.sources:
        reached[source] = [_ranks(lesson.without(source), chosen, seed) for seed in seeds]
        found[source] = _mean(reached[source]) | _worth(reached[""], reached[source])
        print(source, found[source], flush=True)
    return {
        "users": len(lesson.targets_U),
        "candidates_hold_target": float(lesson.right.any(dim=1).float().mean()),
        "all": _mean(reached[""]),
        "without": found,
    }


def searched(blend: Convergence) -> RecommendSettings:
    """How wide the systems searched for the candidates that a blend was fitted on."""
    section = "recommend."
    told = blend.manifest.settings.items()
    return RecommendSettings(**{name.removeprefix(section): value for name, value in told if name.startswith(section)})


@torch.no_grad()
def gathered(opened: Opened, chosen: RecommendSettings, users: int, seed: int) -> Lesson:
    """Evidence of at most so many validation users; with as many as the stage has, of the same ones."""
    split = sample(opened.corpus.split("valid"), users, np.random.default_rng(seed))
    sources, lessons = opened.sources(chosen.beams, chosen.precision), []
    for start in range(0, len(split.users), BATCH):
        rows = np.arange(start, min(start + BATCH, len(split.users)))
        histories = list(split.histories.take(rows))
        lessons.append(Lesson(gather(sources, histories, chosen.candidates), split.targets[rows], histories))
    return joined(lessons)


def _ranks(lesson: Lesson, chosen: ConvergeSettings, seed: int) -> Int64:
    return held_out(lesson, hidden=chosen.hidden, epochs=chosen.epochs, seed=seed)


def _mean(ranks: list[Int64]) -> dict[str, float]:
    recall, ndcg = np.mean([figures(ranks_U) for ranks_U in ranks], axis=0)
    return {f"recall@{CUT}": float(recall), f"ndcg@{CUT}": float(ndcg)}


def _worth(all_: list[Int64], rest: list[Int64]) -> dict[str, Any]:
    """Of a source: NDCG of the blend with it minus that of the blend without."""
    differences_SU = np.stack([gains(mine) - gains(other) for mine, other in zip(all_, rest, strict=True)])
    by_user_U = differences_SU.mean(axis=0)
    worth, half = float(by_user_U.mean()), 1.96 * float(by_user_U.std(ddof=1)) / np.sqrt(len(by_user_U))
    by_seed = [float(differences_U.mean()) for differences_U in differences_SU]
    return {"worth": {"value": worth, "low": worth - half, "high": worth + half, "by_seed": by_seed}}


if __name__ == "__main__":
    torch.set_num_threads(1)
    command("convergence", measure, arguments)

"""What each family of alignment tasks is worth: sequences alone, then one family more at a time.

python -m benchmarks.task_ablation --run runs/beauty --out FILE.json [--spelling compact] [--only NAME ...]

Every variant goes through the sequences `epochs` times; a family adds ``WEIGHT`` examples for every sequence, and so
steps. ``results.variants.<name>``: ``recall@10`` on validation users by seed and its mean, ``targets`` and
``seconds``, and ``probes``: every figure of `semconv.training.probes`, mean over seeds, by task, what it was asked on
and measure. Nothing here opens the test split.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.compact_training import SETTINGS, open_run
from benchmarks.harness import command
from benchmarks.tokens import SEED
from semconv.alignment.registry import FAMILIES, tasks_of
from semconv.config import AlignSettings, TaskSettings
from semconv.errors import SettingError
from semconv.training.align import Inputs, alignment
from semconv.training.job import make_engine, run_job
from semconv.training.probes import PROBES

WEIGHT = 0.25


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument("--run", type=Path, required=True, help="folder of a run that was tokenized")
    parser.add_argument("--spelling", choices=("tokens", "compact"), default="tokens", help="how histories are spelt")
    parser.add_argument("--only", nargs="*", default=[], metavar="NAME", help="these variants alone")
    parser.add_argument("--epochs", type=int, default=3, help="times that each goes through the sequences")
    parser.add_argument("--seeds", type=int, default=3, help="how often each is trained")
    parser.add_argument("--users", type=int, default=2000, help="validation users that each is asked about, at most")


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """The variants asked for."""
    families = variants(options.spelling)
    unknown = [name for name in options.only if name not in families]
    if unknown:
        raise SettingError(f"There is no variant {', '.join(unknown)}", f"Choose among {', '.join(families)}")
    names = options.only or list(families)[: 2 if options.quick else None]
    seeds = range(SEED, SEED + (1 if options.quick else options.seeds))
    inputs, found = open_run(options.run), {}
    for name in names:
        settings = SETTINGS.model_copy(
            update={
                "spelling": options.spelling,
                "epochs": 1 if options.quick else options.epochs,
                "validate_every": 1000,
                "validation_users": options.users,
                "tasks": families[name],
            }
        )
        found[name] = _mean([_told(name, seed, _trained(inputs, settings, seed)) for seed in seeds])
    return {"variants": found}


def variants(spelling: str) -> dict[str, TaskSettings]:
    """Sequences alone, and with one more at a time of the families that the spelling can answer."""
    weights = dict.fromkeys(FAMILIES, 0.0)
    found = {"sequential": TaskSettings(sequential=1.0, **weights)}
    for family in FAMILIES:
        if tasks_of(family, spelling):
            weights[family] = WEIGHT
            found[f"+ {family}"] = TaskSettings(sequential=1.0, **weights)
    return found


def _trained(inputs: Inputs, settings: AlignSettings, seed: int) -> dict[str, Any]:
    """One training: what it reached, and what the exported model answers."""
    began = time.perf_counter()
    job = alignment(inputs, settings, seed)
    trained = run_job(job, make_engine(job))
    seconds = time.perf_counter() - began
    with tempfile.TemporaryDirectory() as folder:
        job.export(trained, Path(folder))
        probes = json.loads((Path(folder) / PROBES).read_text())
    return {
        "recall@10": max(point["recall@10"] for point in trained.curves if "recall@10" in point),
        "targets": sum(point["targets"] for point in trained.curves),
        "seconds": seconds,
        "probes": {f"{probe['task']}, {probe['on']}, {probe['measure']}": probe["value"] for probe in probes},
    }


def _told(name: str, seed: int, trained: dict[str, Any]) -> dict[str, Any]:
    """The training, printed: the last one may be hours away."""
    print(json.dumps({"variant": name, "seed": seed, **trained}), flush=True)
    return trained


def _mean(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Trainings of one variant as one."""
    return {
        "recall@10": float(np.mean([run["recall@10"] for run in runs])),
        "recall@10_by_seed": [run["recall@10"] for run in runs],
        "targets": runs[0]["targets"],
        "seconds": float(np.mean([run["seconds"] for run in runs])),
        "probes": {name: float(np.mean([run["probes"][name] for run in runs])) for name in runs[0]["probes"]},
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    command("task_ablation", measure, arguments)

"""What each part of the tokenizer is worth: one thing changed at a time, everything after it the same.

python -m benchmarks.token_ablation --run runs/beauty --out FILE.json [--only NAME ...]
python -m benchmarks.token_ablation --run runs/beauty --out FILE.json --alignment

``results.variants.<name>``: figures of the codes, seconds to tokenize, and ``compact_ndcg@10`` on validation users,
the compact model trained for the same steps with the same seeds, data and schedule on each variant's codes, with
what it gains over the first variant and the interval of that.

``results.alignment.<name>``, with ``--alignment``: the token spelling, trained for the same steps on the same batches;
``loss`` is the mean training loss of each quarter of the steps by seed, ``recall@10`` that on validation users. Losses
compare where the codes are the same (``kmeans_rows`` with ``kmeans``, ``rqvae_loss_rows`` with ``rqvae_loss``), recall
between ``rqvae`` and ``rqvae_loss``, whose codes differ by the alignment loss alone, as well.

Nothing here opens the test split.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.compact_training import (
    SETTINGS,
    Course,
    as_tokens,
    compact_figures,
    compact_gains,
    open_run,
    trained,
)
from benchmarks.harness import command
from benchmarks.tokens import SEED, figures, yardstick_of
from semconv.artifacts import ItemVectors, finish, staging
from semconv.config import TaskSettings, TokenizeSettings
from semconv.errors import SettingError
from semconv.evaluation.metrics import Float64
from semconv.llm.title_embeddings import title_embeddings
from semconv.tokens.contrast import Target
from semconv.tokens.index import CodeIndex
from semconv.tokens.index_report import index_report
from semconv.tokens.tokenizer import Tokenized, tokenize_items
from semconv.training.align import Inputs
from semconv.training.job import Job

RQVAE: dict[str, Any] = {"quantizer": "rqvae"}
KMEANS: dict[str, Any] = {"quantizer": "residual_kmeans"}
ONE_WEIGHT: dict[str, Any] = {**KMEANS, "behaviour_weight": 0.7, "first_behaviour_factor": 1.0}
VARIANTS: dict[str, dict[str, Any]] = {
    "residual_kmeans": KMEANS,
    "one_weight": ONE_WEIGHT,
    "whiten_0": {**KMEANS, "whiten": 0.0},
    "whiten_1": {**KMEANS, "whiten": 1.0},
    "text_only": {"behaviour_weight": 0.0},
    "behaviour_only": {"text_weight": 0.0},
    "sasrec_only": {"encoders": ["sasrec"]},
    "lightgcn_only": {"encoders": ["lightgcn"]},
    "parallel_2": {"parallel": 2},
    "even_last": {"even_last": True},
    "collisions_none": {"collisions": "none"},
    "collisions_extra": {"collisions": "extra"},
    "rqvae": {**RQVAE, "align_weight": 0.0},
    "rqvae_llm": {**RQVAE, "align_weight": 0.02},
    "rqvae_llm_strong": {**RQVAE, "align_weight": 0.2},
    "rqvae_diversity": {**RQVAE, "align_weight": 0.0, "rqvae": {"diversity_weight": 1e-3}},
    "rqvae_collaborative": {**RQVAE, "align_weight": 0.0, "rqvae": {"collaborative_weight": 0.02}},
    "rqvae_parallel_2": {**RQVAE, "align_weight": 0.0, "parallel": 2},
}
"""What differs from the settings that the run was tokenized with; ``encoders``: the part of the behaviour vectors used.

An RQ-VAE has one weight of behaviour at all levels: its own baseline is ``rqvae``. With ``parallel_2`` the first
codebook sees text alone.
"""

ALIGNMENT: dict[str, tuple[dict[str, Any], str]] = {
    "kmeans": ({**KMEANS, "align_weight": 0.0}, "random"),
    "kmeans_rows": ({**KMEANS, "align_weight": 0.02}, "projected"),
    "rqvae": ({**RQVAE, "align_weight": 0.0}, "random"),
    "rqvae_loss": ({**RQVAE, "align_weight": 0.2}, "random"),
    "rqvae_loss_rows": ({**RQVAE, "align_weight": 0.2}, "projected"),
}
"""Tokenizer settings, and how the code tokens' rows start."""

QUARTERS = 4
TASKS = TaskSettings(textual=0.43)
"""Items in words, besides sequences: what meets the language model's own words."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument("--run", type=Path, required=True, help="folder of a run that was tokenized")
    parser.add_argument("--only", nargs="*", default=[], metavar="NAME", help="these variants alone")
    parser.add_argument("--alignment", action="store_true", help="the token spelling with and without the alignment")
    parser.add_argument("--steps", type=int, default=600, help="training steps of each model")
    parser.add_argument("--seeds", type=int, default=3, help="how often each is trained")
    parser.add_argument("--users", type=int, default=5000, help="validation users that each is asked about, at most")


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """The ablation asked for."""
    known = ALIGNMENT if options.alignment else VARIANTS
    unknown = [name for name in options.only if name not in known]
    if unknown:
        raise SettingError(f"There is no variant {', '.join(unknown)}", f"Choose among {', '.join(known)}")
    quick = bool(options.quick)
    course = Course(
        steps=min(options.steps, 40) if quick else options.steps,
        seeds=tuple(range(SEED, SEED + (1 if quick else options.seeds))),
        users=min(options.users, 500) if quick else options.users,
    )
    names = options.only or list(known)[: 2 if quick else None]
    inputs = open_run(options.run)
    with tempfile.TemporaryDirectory() as folder:
        if options.alignment:
            return {"alignment": {name: _aligned(inputs, name, course, Path(folder)) for name in names}}
        return {"variants": _variants(inputs, names, course, Path(folder))}


def _variants(inputs: Inputs, names: list[str], course: Course, folder: Path) -> dict[str, dict[str, Any]]:
    yardstick, found, gains = yardstick_of(inputs), dict[str, dict[str, Any]](), dict[str, Float64]()
    for name in names:
        began = time.perf_counter()
        tokenized = _tokenized(inputs, VARIANTS[name], folder)
        seconds = time.perf_counter() - began
        index = _index(name, tokenized)
        gains[name] = compact_gains(index, inputs, course, folder)
        found[name] = {
            "seconds": seconds,
            "error": tokenized.quality["error"],
            **figures(index_report(index, yardstick)),
            **compact_figures(gains[name], gains[names[0]]),
        }
        print(json.dumps({name: found[name]}), flush=True)  # the last variant may be hours away
    return found


def _tokenized(inputs: Inputs, changed: dict[str, Any], folder: Path) -> Tokenized:
    """The run's items under its own settings with ``changed`` ones."""
    changed = dict(changed)
    vectors = _vectors(inputs.vectors, changed.pop("encoders", None), folder)
    own = inputs.tokens.manifest.settings["tokenize"]
    nested = {"rqvae": {**own.get("rqvae", {}), **changed.get("rqvae", {})}}
    settings = TokenizeSettings(**{**own, **changed, **nested})
    words = None
    if settings.align_weight:
        words = Target.of("title", *title_embeddings(inputs.base, inputs.corpus.items["title"].to_pylist()))
    return tokenize_items(vectors, settings, seed=SEED, words=words)


def _vectors(vectors: ItemVectors, encoders: list[str] | None, folder: Path) -> ItemVectors:
    """The vectors with the behaviour of some of the run's encoders alone."""
    embed = vectors.manifest.settings["embed"]
    if encoders is None or encoders == embed["behaviour"]:
        return vectors
    parts = vectors.behaviour.split([embed[name]["width"] for name in embed["behaviour"]], dim=1)
    chosen = [part for name, part in zip(embed["behaviour"], parts, strict=True) if name in encoders]
    if not chosen:
        raise SettingError(f"The run has no behaviour vectors of {', '.join(encoders)}", "Leave the variant out")
    with staging(folder / "vectors" / "-".join(encoders)) as written:
        ItemVectors.write(
            written,
            text=vectors.text,
            behaviour=torch.cat(chosen, dim=1),
            has_text=vectors.has_text,
            has_behaviour=vectors.has_behaviour,
        )
        finish(written, "vectors", settings={}, inputs={}, counts={}, request="", seconds=0.0)
    return ItemVectors.open(folder / "vectors" / "-".join(encoders))


def _aligned(inputs: Inputs, name: str, course: Course, folder: Path) -> dict[str, Any]:
    changed, rows = ALIGNMENT[name]
    tokenized = _tokenized(inputs, changed, folder)
    spoken = replace(inputs, tokens=as_tokens(_index(name, tokenized), inputs.corpus, folder / name, tokenized))
    settings = SETTINGS.model_copy(
        update={"spelling": "tokens", "code_rows": rows, "validation_users": course.users, "tasks": TASKS}
    )
    runs = {str(seed): trained(spoken, settings, seed, course.steps, _recall, QUARTERS) for seed in course.seeds}
    found = {
        "loss": {seed: losses for seed, (losses, _) in runs.items()},
        "recall@10": {seed: recall for seed, (_, recall) in runs.items()},
        "last_loss": float(np.mean([losses[-1] for losses, _ in runs.values()])),
        "recall@10_mean": float(np.mean([recall for _, recall in runs.values()])),
    }
    print(json.dumps({name: found}), flush=True)
    return found


def _recall(model: nn.Module, job: Job) -> float:
    assert job.validate is not None
    hits, users = job.validate(model, 0, 1).tolist()
    return float(hits / users)


def _index(name: str, tokenized: Tokenized) -> CodeIndex:
    codes_per_level = tokenized.tokenizer.quantizer.codebooks.shape[1]
    return CodeIndex(name, tokenized.codes_NL.numpy().astype(np.int32), codes_per_level)


if __name__ == "__main__":
    torch.set_num_threads(1)
    command("token_ablation", measure, arguments)

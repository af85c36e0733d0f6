"""A model trained on any code index, for as many steps as on any other, and asked on validation users."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from scipy import stats
from torch import nn

from semconv.artifacts import BaseModel, Corpus, ItemTokens, ItemVectors, check_lineage, finish, staging
from semconv.artifacts.tokens import CODES, write_codes
from semconv.config import AlignSettings
from semconv.evaluation.metrics import Float64, hit_ranks
from semconv.llm.search import beam_search
from semconv.llm.trie import Trie
from semconv.tokens.index import CodeIndex
from semconv.tokens.tokenizer import Tokenized
from semconv.training.align import Inputs, alignment
from semconv.training.job import Job, make_engine
from semconv.training.loop import train

Answer = TypeVar("Answer")

AT, BEAMS, BLOCK = 10, 50, 250
SETTINGS = AlignSettings(spelling="compact", engine="plain")


def open_run(path: Path) -> Inputs:
    """A run's artifacts from corpus to tokens. Raises `ArtifactError` when they do not belong together."""
    corpus, vectors = Corpus.open(path / "corpus"), ItemVectors.open(path / "vectors")
    base, tokens = BaseModel.open(path / "base"), ItemTokens.open(path / "tokens")
    check_lineage([corpus, vectors, base, tokens])
    return Inputs(corpus, vectors, tokens, base)


@dataclass(frozen=True)
class Course:
    """How long to train, with which seeds, and how many validation users to ask about."""

    steps: int
    seeds: tuple[int, ...]
    users: int


def compact_gains(index: CodeIndex, inputs: Inputs, course: Course, folder: Path) -> Float64:
    """NDCG@10 by seed and validation user, float64 (S, U); writes below ``folder``.

    ``inputs`` are those of the run; its tokens give way to the index.
    """
    inputs = replace(inputs, tokens=as_tokens(index, inputs.corpus, folder / index.name))

    def asked(model: nn.Module, _job: Job) -> Float64:
        return validation_gains(model, inputs, course.users, seed=0)

    return np.stack([trained(inputs, SETTINGS, seed, course.steps, asked)[1] for seed in course.seeds])


def compact_figures(gains_SU: Float64, baseline_SU: Float64) -> dict[str, Any]:
    """``compact_ndcg@10``, the mean over seeds, ``.._by_seed``, and ``.._over_baseline``, see `paired_difference`."""
    name = f"compact_ndcg@{AT}"
    return {
        name: float(gains_SU.mean()),
        f"{name}_by_seed": gains_SU.mean(axis=1).tolist(),
        f"{name}_over_baseline": paired_difference(gains_SU, baseline_SU),
    }


def paired_difference(gains_SU: Float64, baseline_SU: Float64) -> dict[str, float]:
    """``difference`` of the means and its 95% interval, ``low`` to ``high``, paired by seed and user.

    Both a model trained again and a user asked anew would come out differently: the variance is that of the seeds'
    means plus that of the users', with the degrees of freedom that Satterthwaite (1946) gives the sum. Of a single
    seed it is the users' alone, and says nothing of another training.
    """
    change_SU = gains_SU - baseline_SU
    terms = [
        (float(means.var(ddof=1)) / len(means), len(means) - 1)
        for means in (change_SU.mean(axis=axis) for axis in (1, 0))
        if len(means) > 1
    ]
    variance = sum(part for part, _ in terms)
    difference = float(change_SU.mean())
    if not variance:
        return {"difference": difference, "low": difference, "high": difference}
    freedom = variance**2 / sum(part**2 / free for part, free in terms)
    reach = float(stats.t.ppf(0.975, freedom)) * variance**0.5
    return {"difference": difference, "low": difference - reach, "high": difference + reach}


def as_tokens(index: CodeIndex, corpus: Corpus, path: Path, tokenized: Tokenized | None = None) -> ItemTokens:
    """The index as an artifact; without ``tokenized``, what gave the codes, it holds them and nothing else."""
    shape = {"levels": index.codes.shape[1], "codes": index.codes_per_level}
    with staging(path) as folder:
        if tokenized is None:
            write_codes(folder / CODES, corpus.item_ids, index.codes)
        else:
            tokenized.write(folder, corpus.item_ids)
        finish(
            folder,
            "tokens",
            settings={"tokenize": shape},
            inputs={"corpus": corpus},
            counts={},
            request="",
            seconds=0.0,
        )
    return ItemTokens.open(path)


def trained(
    inputs: Inputs,
    settings: AlignSettings,
    seed: int,
    steps: int,
    asked: Callable[[nn.Module, Job], Answer],
    parts: int = 1,
) -> tuple[list[float], Answer]:
    """Mean training loss of each of ``parts`` equal parts of the steps, and what ``asked`` says of the model then."""
    job = alignment(inputs, settings, seed)
    engine, batches = make_engine(job), job.batches(0, 1)
    # Epochs of the plan are the parts: the learning rate falls to its end at the last step, wherever epochs would end.
    plan = replace(job.plan(steps // parts), epochs=parts)
    result = train(engine, lambda part, step: batches(*divmod(part * plan.steps + step, batches.steps)), plan)
    with engine.evaluating() as model:
        return [point["loss"] for point in result.curves], asked(model, job)


@torch.no_grad()
def validation_gains(model: Any, inputs: Inputs, users: int, seed: int) -> Float64:
    """NDCG@10 over the whole catalogue, seen items kept, of at most ``users`` drawn by ``seed``: float64 (U)."""
    split = inputs.corpus.split("valid")
    chosen = np.sort(np.random.default_rng(seed).permutation(len(split.users))[:users])
    counts = np.bincount(inputs.corpus.training().values, minlength=inputs.corpus.n_items)
    tokens = inputs.tokens
    trie = Trie.build(tokens.codes, tokens.codes_per_level, training_counts=counts)
    trie = trie.to(next(model.parameters()).device)
    gains = []
    for start in range(0, len(chosen), BLOCK):
        block = chosen[start : start + BLOCK]
        found = beam_search(model, trie, [split.histories[int(user)] for user in block], AT, BEAMS, "legal")
        ranks = hit_ranks(found.items, split.targets[block])
        gains.append(np.where(ranks > 0, 1.0 / np.log2(np.maximum(ranks, 1) + 1.0), 0.0))
    return np.concatenate(gains)

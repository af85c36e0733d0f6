"""A report of small_shop's corpus: what systems ranked there, evaluated and written by the real writers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from small_shop import N_ITEMS, N_USERS, Stepping

from semconv.artifacts import Corpus, Report, finish, staging
from semconv.evaluation.about import About, describe
from semconv.evaluation.again import Answers, ask
from semconv.evaluation.beyond import Catalogue
from semconv.evaluation.code_map import CodeMap
from semconv.evaluation.examples import choose
from semconv.evaluation.rankings import Gathering, Rankings, rank_block
from semconv.evaluation.results import Result, measure
from semconv.evaluation.slices import Slices, slice_users
from semconv.evaluation.truncation import by_last_events
from semconv.evaluation.write import write_report

STEPS = {
    "popularity": 1,
    "sasrec": 7,
    "<b>odd</b>": 11,
    "generative_compact": 19,
    "converged": 13,
    "converged_without_generative": 17,
}
SYSTEMS = {name: Stepping(name, step) for name, step in STEPS.items()}
K = 10


def rank(corpus: Corpus) -> Rankings:
    """What the systems say to the test users."""
    gathering = Gathering(corpus.split("test"), N_ITEMS, K)
    gathering.add(np.arange(N_USERS), rank_block(SYSTEMS, list(corpus.split("test").histories), K))
    return gathering.finish()


def evaluate(corpus: Corpus, rankings: Rankings) -> Result:
    targets = corpus.split("test").targets
    return measure(rankings, targets, catalogue=catalogue(corpus), cutoffs=(10, 5, 1), resamples=100, seed=17)


def catalogue(corpus: Corpus) -> Catalogue:
    text = np.random.default_rng(0).normal(size=(N_ITEMS, 4)).astype(np.float32)
    return Catalogue.of(corpus.training().values, text)


def slices_of(corpus: Corpus, result: Result) -> Slices:
    split, everyone, counts = corpus.split("test"), np.arange(N_USERS), catalogue(corpus).counts_N
    question = by_last_events(N_USERS, (N_USERS + 1) // 2, seed=17)
    answers = Answers(question, split, N_ITEMS, K)
    answers.take(everyone, ask(question, SYSTEMS, list(split.histories), everyone, K))
    again = {question.name: answers.finish()}
    return slice_users(result.filtered_ranks, split, counts, k=10, resamples=100, seed=17, again=again)


def about(corpus: Corpus, seconds: float = 2.5) -> About:
    described = describe(
        "<i>tiny</i>", corpus, corpus.split("test"), [corpus], {"evaluate": {"at": [1, 5, 10]}}, {"ingest": seconds}
    )
    curves = [{"step": 10.0 * n, "loss": 3.0 / n, "recall@10": 0.1 * n} for n in range(1, 4)]
    encoders = {"sasrec": [(1.0, 0.1), (2.0, 0.15)], "lightgcn": [(1.0, 0.05), (2.0, 0.12)]}
    return replace(described, curves=curves, encoder_curves=encoders)


def codes() -> CodeMap:
    places = np.random.default_rng(2).uniform(-1, 1, size=(N_ITEMS, 2))
    return CodeMap(places, (np.arange(N_ITEMS) % 4).astype(np.int32), "30 items in <u>some</u> space")


def write(folder: Path, corpus: Corpus, rankings: Rankings, seconds: float = 2.5) -> Report:
    split = corpus.split("test")
    with staging(folder) as target:
        examples = choose(corpus, split, rankings, 10, 17)
        result = evaluate(corpus, rankings)
        slices, described = slices_of(corpus, result), about(corpus, seconds)
        write_report(target, result, slices, described, split=split, examples=examples, codes=codes())
        finish(target, "report", settings={}, inputs={"corpus": corpus}, counts={}, request="r", seconds=1.0)
    return Report.open(folder)

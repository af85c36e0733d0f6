"""Evaluate: every system ranks the whole catalogue for every test user; figures, intervals and a page come of it.

python -m pipelines.evaluate --config configs/beauty.yaml
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import ray.data
import torch

from pipelines.actors import Pool
from pipelines.cluster import sharing_cores
from pipelines.refit import refit_run
from pipelines.room import Room
from pipelines.stage import Stage, Work, run_stages
from semconv.artifacts import (
    Artifact,
    Convergence,
    Corpus,
    ItemTokens,
    ItemVectors,
    Ragged,
    Recommender,
    Report,
    Run,
)
from semconv.behaviour.popularity import training_counts
from semconv.behaviour.store import Behaviour
from semconv.cli import main
from semconv.config import Settings, determining
from semconv.errors import ArtifactError
from semconv.evaluation.about import describe
from semconv.evaluation.again import Answers, Found, Question, ask
from semconv.evaluation.beyond import Catalogue
from semconv.evaluation.code_map import code_map
from semconv.evaluation.examples import choose
from semconv.evaluation.new_items import among_new_items
from semconv.evaluation.rankings import Gathering, Rankings, rank_block
from semconv.evaluation.refit import Refit
from semconv.evaluation.results import measure
from semconv.evaluation.seeds import Seeds
from semconv.evaluation.slices import slice_users
from semconv.evaluation.tables import text_table
from semconv.evaluation.truncation import by_last_events
from semconv.evaluation.write import write_report
from semconv.progress import Report as Progress
from semconv.recommend.load import open_rankers
from semconv.recommend.ranker import Ranker

STAGE_OF = {
    "corpus": "ingest",
    "vectors": "embed",
    "behaviour": "embed",
    "base": "base",
    "tokens": "tokenize",
    "examples": "examples",
    "model": "align",
    "blend": "converge",
}
"""The stage that makes each kind of artifact whose time the report tells, in the order they run."""

Opener = Callable[[Run, Settings], dict[str, Ranker]]


class RankUsers:
    """An actor's work: the systems are opened with the first batch, so that what is wrong with them can be read."""

    def __init__(self, run: Run, settings: Settings, opener: Opener) -> None:
        torch.set_num_threads(settings.ray.threads)
        self._run = run
        self._settings = settings
        self._opener = opener
        self._opened: tuple[Ragged, dict[str, Ranker], list[Question]] | None = None

    def __call__(self, batch: dict[str, npt.NDArray[np.int64]]) -> dict[str, npt.NDArray[np.integer]]:
        """Rankings int32 (B, K) of every system for the users at rows ``id`` of the test split.

        What some of them are asked again is in columns of its own.
        """
        if self._opened is None:
            corpus = Corpus.open(self._run.artifact("corpus"))
            rankers = self._opener(self._run, self._settings)
            self._opened = corpus.split("test").histories, rankers, questions_of(self._settings, corpus)
        histories, rankers, questions = self._opened
        asked, k = list(histories.take(batch["id"])), max(self._settings.evaluate.at)
        block = rank_block(rankers, asked, k)
        for question in questions:
            block |= ask(question, rankers, asked, batch["id"], k)
        return {"row": batch["id"], **block}


class Ranked(NamedTuple):
    """Rankings of every user, and what was found of those asked about again, by the name of the question."""

    rankings: Rankings
    again: dict[str, Found]


def questions_of(settings: Settings, corpus: Corpus) -> list[Question]:
    """What some of the test users are asked about again."""
    count, seed, split = settings.evaluate.truncated_users, settings.run.seed, corpus.split("test")
    if not count:
        return []
    counts_N = training_counts(corpus.training(), corpus.n_items).numpy()
    return [by_last_events(len(split.users), count, seed), among_new_items(split, counts_N, count, seed)]


def rank_users(run: Run, settings: Settings, corpus: Corpus, report: Progress, opener: Opener = open_rankers) -> Ranked:
    """Rankings of every test user by every system, on ``evaluate.workers`` actors; each user exactly once."""
    split = corpus.split("test")
    users, size = len(split.users), settings.evaluate.batch_size
    if users == 0:
        raise ArtifactError(f"{corpus.path} has no user to test on", "Use a corpus with longer histories")
    pool = Pool.of(Room.of(settings.ray, report), "evaluate.workers", settings.evaluate.workers)
    k = max(settings.evaluate.at)
    gathering = Gathering(split, corpus.n_items, k)
    again = [Answers(question, split, corpus.n_items, k) for question in questions_of(settings, corpus)]
    blocks = ray.data.range(users, override_num_blocks=math.ceil(users / size)).map_batches(
        RankUsers,
        batch_size=size,
        fn_constructor_kwargs={
            "run": run.absolute(),
            "settings": sharing_cores(settings, settings.evaluate.workers),
            "opener": opener,
        },
        **pool.arguments,
    )
    report(0, users, "opening the systems")
    for block in blocks.iter_batches(batch_size=None, batch_format="numpy"):
        rows = block.pop("row")
        for answers in again:
            block = answers.take(rows, block)
        gathering.add(rows, block)
        report(gathering.done, users, f"ranked {gathering.done:,} of {users:,} users")
    return Ranked(gathering.finish(), {answers.question.name: answers.finish() for answers in again})


def stage_seconds(run: Run, artifacts: Iterable[Artifact]) -> dict[str, float]:
    """Seconds each earlier stage took, by its name, from the artifacts that belong to the same lineage."""
    lineage: dict[str, str] = {}
    for artifact in artifacts:
        lineage |= artifact.lineage()
    seconds: dict[str, float] = {}
    for kind, stage in STAGE_OF.items():
        manifest = run.manifest(kind)
        if manifest is None:
            continue
        own = {**manifest.lineage, kind: manifest.fingerprint}
        if all(lineage.get(name, fingerprint) == fingerprint for name, fingerprint in own.items()):
            seconds[stage] = max(seconds.get(stage, 0.0), manifest.seconds)
    return seconds


def reseeded(settings: Settings, seed: int) -> Settings:
    """The same job with another seed, in a run beside this one; it tells of itself alone."""
    name = f"{settings.run.name}-seed-{seed}"
    return settings.model_copy(
        update={
            "run": settings.run.model_copy(update={"name": name, "seed": seed, "until": STAGE.name}),
            "evaluate": settings.evaluate.model_copy(update={"seeds": (), "refit": False, "truncated_users": 0}),
        }
    )


def _other_seeds(settings: Settings) -> dict[int, Report]:
    """Reports of the other seeds; raises `ArtifactError` where one is absent."""
    runs = {seed: reseeded(settings, seed).run for seed in settings.evaluate.seeds}
    return {seed: Report.open(Run.of(run).artifact(Report.kind)) for seed, run in runs.items()}


def _refit(settings: Settings) -> Report | None:
    """The refitted job's report, if there is one to be; raises `ArtifactError` where it is absent."""
    if not settings.evaluate.refit:
        return None
    run = refit_run(settings)
    return Report.open(Run.of(run).artifact(Report.kind))


def _beside(settings: Settings) -> dict[str, str]:
    """Fingerprints of the reports of other runs that this one tells of."""
    refit = _refit(settings)
    others = {f"seed {seed}": report.fingerprint for seed, report in _other_seeds(settings).items()}
    return others if refit is None else others | {"refit": refit.fingerprint}


def build(work: Work) -> None:
    """Rank, measure, and write the report."""
    started = time.monotonic()
    settings, corpus = work.settings, work.input(Corpus)
    split = corpus.split("test")
    rankings, again = rank_users(work.run, settings, corpus, work.line)
    work.line(len(split.users), len(split.users), "measuring")
    resamples, seed = settings.evaluate.bootstrap, settings.run.seed
    catalogue = Catalogue.of(corpus.training().values, work.input(ItemVectors).text.numpy())
    result = measure(
        rankings,
        split.targets,
        catalogue=catalogue,
        cutoffs=settings.evaluate.at,
        resamples=resamples,
        seed=seed,
    )
    slices = slice_users(
        result.filtered_ranks,
        split,
        catalogue.counts_N,
        k=result.headline,
        resamples=resamples,
        seed=seed,
        again=again,
    )
    artifacts = list(work.inputs.values())
    about = describe(
        work.run.path.name,
        corpus,
        split,
        artifacts,
        {"evaluate": determining(settings.evaluate)},
        stage_seconds(work.run, artifacts) | {"evaluate": time.monotonic() - started},
    )
    examples = choose(corpus, split, rankings, settings.evaluate.examples, seed)
    codes = code_map(work.input(ItemTokens), work.input(ItemVectors), seed)
    others = {seed: report.metrics for seed, report in _other_seeds(settings).items()}
    seeds = Seeds.of(result, others) if others else None
    refit = _refit(settings)
    write_report(
        work.out("report"),
        result,
        slices,
        about,
        split=split,
        examples=examples,
        codes=codes,
        seeds=seeds,
        refit=None if refit is None else Refit.of(result, refit.metrics),
    )
    for line in text_table(result):
        work.line.say(line)
    work.count("report", users=result.users, systems=len(result.systems))


STAGE = Stage(
    name="evaluate",
    makes=("report",),
    needs=(Corpus, ItemVectors, Behaviour, ItemTokens, Recommender, Convergence),
    reads=("evaluate", "recommend.beams", "recommend.candidates", "recommend.precision"),
    code=4,
    build=build,
    raw=_beside,
)


def run(settings: Settings) -> None:
    """Run this stage alone."""
    run_stages(settings, (STAGE,))


if __name__ == "__main__":
    main(run, "pipelines.evaluate")

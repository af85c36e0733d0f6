"""Precache: the top K of every user, ranked on actors over the cluster and written as one snapshot.

python -m pipelines.precache --config configs/beauty.yaml

History is everything a user has done, test items included: production knows it all.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import ray.data
import torch
from ray.data import ActorPoolStrategy

from pipelines.cluster import require_cpus
from pipelines.stage import Stage, Work, run_stages
from semconv.artifacts import Convergence, Corpus, ItemTokens, ItemVectors, Recommender, Run, TopKWriter
from semconv.artifacts.topk import users_batch, write_catalogue
from semconv.behaviour.store import Behaviour
from semconv.cli import main
from semconv.config import RecommendSettings, Settings
from semconv.recommend.load import open_recommender
from semconv.recommend.ranker import Ranker
from semconv.recommend.rules import Rules

Opener = Callable[[Run, RecommendSettings], Ranker]
"""Opens what a run recommends."""


class RankUsers:
    """An actor's work: the ranker is opened with the first batch, so that what is wrong with it can be read."""

    def __init__(self, run: Run, settings: Settings, opener: Opener) -> None:
        torch.set_num_threads(settings.ray.threads)
        self._run = run
        self._precache = settings.precache
        self._recommend = settings.recommend
        self._opener = opener

    @cached_property
    def _corpus(self) -> Corpus:
        return Corpus.open(self._run.artifact("corpus"))

    @cached_property
    def _ranker(self) -> Ranker:
        return self._opener(self._run, self._recommend)

    def __call__(self, batch: dict[str, npt.NDArray[np.int64]]) -> pa.Table:
        """The users with index ``id`` as rows of a snapshot's shard."""
        histories = list(self._corpus.sequences.take(batch["id"]))
        exclude = histories if self._precache.filter_seen else None
        ranking = self._ranker.rank(histories, self._precache.k, exclude=exclude)
        ids = pa.array([self._corpus.user_ids[user] for user in batch["id"]], pa.string())
        return pa.Table.from_batches([users_batch(ids, ranking.items, ranking.scores)])


def build(work: Work, opener: Opener = open_recommender) -> None:
    """Rank every user and write the snapshot; refused unless each user of the corpus is in it exactly once."""
    settings, corpus, folder = work.settings, work.input(Corpus), work.out("topk")
    chosen, users = settings.precache, corpus.n_users
    require_cpus("precache.workers", chosen.workers)
    write_catalogue(
        folder,
        item_ids=corpus.item_ids,
        titles=corpus.items["title"].to_pylist(),
        popularity=np.bincount(corpus.sequences.values, minlength=corpus.n_items),
        blocked=Rules.of(corpus, settings.recommend).blocked,
    )
    writer = TopKWriter(folder, shards=chosen.shards, k=chosen.k)
    work.line(0, users, "opening the model")
    for batch in _ranked(work, users, opener):
        writer.add(batch)
        work.line(writer.written, users, f"ranked {writer.written:,} of {users:,} users")
    work.line(users, users, "writing the snapshot")
    writer.finish(pa.array(corpus.user_ids, pa.string()))
    assert writer.written == users
    work.count("topk", users=users, items=corpus.n_items, shards=chosen.shards)
    work.line.say(f"top {chosen.k} of {users:,} users in {chosen.shards} shards")


def _ranked(work: Work, users: int, opener: Opener) -> Iterator[pa.RecordBatch]:
    size = work.settings.precache.batch_size
    absolute = Run(str(work.run.path.parent.absolute()), work.run.path.name)
    ranked = ray.data.range(users, override_num_blocks=max(1, math.ceil(users / size))).map_batches(
        RankUsers,
        batch_size=size,
        fn_constructor_kwargs={"run": absolute, "settings": work.settings, "opener": opener},
        compute=ActorPoolStrategy(size=work.settings.precache.workers),
        num_cpus=1,
    )
    for table in ranked.iter_batches(batch_size=None, batch_format="pyarrow"):
        yield from table.to_batches()


STAGE = Stage(
    name="precache",
    makes=("topk",),
    needs=(Corpus, ItemVectors, Behaviour, ItemTokens, Recommender, Convergence),
    reads=("precache", "recommend"),
    code=1,
    build=build,
)


def run(settings: Settings) -> None:
    """Run this stage alone."""
    run_stages(settings, (STAGE,))


if __name__ == "__main__":
    main(run, "pipelines.precache")

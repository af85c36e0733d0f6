"""Precache: the top K of every user, ranked on actors over the cluster and written as one snapshot.

python -m pipelines.precache --config configs/beauty.yaml
python -m pipelines.precache --config configs/beauty.yaml --precache.events DIR --since runs/beauty/topk

History is everything a user has done, test items and exported events included: production knows it all. Killed at any
point and run again, the job goes on where it was; with ``--since SNAPSHOT`` it ranks only users whose history has
changed since, or everybody where anything else has that a list depends on.
"""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property
from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from pipelines.actors import Pool
from pipelines.cluster import sharing_cores
from pipelines.console import StageLine
from pipelines.precache_carry import Carried, Stamps, changed, stamps_of
from pipelines.precache_units import Job, Unit
from pipelines.stage import Stage, Work, local_files, run_stages
from semconv.artifacts import (
    Convergence,
    Corpus,
    ItemTokens,
    ItemVectors,
    Recommender,
    Run,
    TopKSnapshot,
    TopKWriter,
    users_batch,
    write_catalogue,
    write_similar,
)
from semconv.artifacts.ragged import Int32
from semconv.artifacts.snapshot_store import SnapshotStore, located
from semconv.behaviour.store import Behaviour
from semconv.cli import main
from semconv.config import RecommendSettings, Settings
from semconv.corpus.later import Histories, histories_of, read_later, require_later
from semconv.errors import ResourceError
from semconv.recommend.load import open_recommender
from semconv.recommend.ranker import Ranker, Ranking
from semconv.recommend.rules import Rules
from semconv.recommend.similar import similar_items

Opener = Callable[[Run, RecommendSettings], Ranker]
"""Opens what a run recommends."""
CODE = 2
"""Raised when the stage computes something else from the same input; then nothing is carried over either."""
SNAPSHOTS = "snapshots"
"""Private folder of snapshots that a store keeps elsewhere."""


class RankUnits:
    """An actor's work: the ranker is opened with the first unit, so that what is wrong with it can be read."""

    def __init__(self, run: Run, settings: Settings, opener: Opener) -> None:
        torch.set_num_threads(settings.ray.threads)
        self._run = run
        self._precache = settings.precache
        self._recommend = settings.recommend
        self._opener = opener

    @cached_property
    def _ranker(self) -> Ranker:
        return self._opener(self._run, self._recommend)

    def __call__(self, row: pa.Table) -> pa.Table:
        """A unit's answers, ``precache.batch_size`` users at a time."""
        unit, size, kept = Unit.of(row), self._precache.batch_size, self._precache.kept
        parts = [Ranking.empty(kept)]
        for start in range(0, len(unit.users), size):
            histories = [unit.histories[row] for row in range(start, min(start + size, len(unit.users)))]
            exclude = histories if self._precache.filter_seen else None
            parts.append(self._ranker.rank(histories, kept, exclude=exclude))
        items, scores = ([getattr(part, name) for part in parts] for name in ("items", "scores"))
        return unit.answered(Ranking(np.concatenate(items), np.concatenate(scores)))


def build(work: Work, opener: Opener = open_recommender) -> None:
    """Rank the users who are not carried over and write the snapshot of all: each user exactly once, or nothing.

    Raises `ResourceError` while another job does so for the same run: each would take away what the other keeps.
    """
    with _alone(work.run):
        _build(work, opener)


def _build(work: Work, opener: Opener) -> None:
    chosen = work.settings.precache
    pool = Pool.of(work.room, "precache.workers", chosen.workers)
    known, since = _histories(work), _since(work)
    stamps_U = stamps_of(known.items)
    carried = None if since is None else Carried(since, known.user_ids, stamps_U)
    ranked = np.arange(len(known.items)) if carried is None else np.flatnonzero(~carried.users_U)
    job = _job(work, "" if since is None else since.fingerprint)
    job.divide(ranked, known.items, chosen.batch_size)
    _rank(work, job, len(ranked), opener, pool)
    _write_items(work, known)
    _write_users(work, known, stamps_U, chain(() if carried is None else carried.answers(), job.answers()))
    users = len(known.items)
    work.count("topk", users=users, computed=len(ranked), carried=users - len(ranked), shards=chosen.shards, code=CODE)
    work.line.say(f"top {chosen.kept} of {users:,} users in {chosen.shards} shards")
    if chosen.since is not None:
        work.line.say(f"{users - len(ranked):,} users carried over, {len(ranked):,} ranked")


def settle(settings: Settings) -> None:
    """Publish the finished snapshot to ``precache.store``, unless that has it; forget how it was computed."""
    run, chosen = Run.of(settings.run), settings.precache
    snapshot = TopKSnapshot.described(run.artifact("topk"))
    jobs = run.kept(STAGE.name)
    for job in jobs.folders(""):
        if job.startswith(f"{snapshot.manifest.request[:16]}-"):
            jobs.delete_folder(job)
    shutil.rmtree(run.private(SNAPSHOTS), ignore_errors=True)
    if chosen.store is None:
        return
    store, line = SnapshotStore.open(chosen.store), StageLine(STAGE.name)
    for version in store.versions():
        if store.manifest(version).fingerprint == snapshot.fingerprint:
            # To publish it again would undo a roll-back.
            line.say(f"{chosen.store} has this snapshot as version {version}; its current one is {store.current()}")
            return
    version = store.publish(TopKSnapshot.open(snapshot.path), keep=chosen.keep)
    line.say(f"published to {chosen.store} as version {version}")


@contextmanager
def _alone(run: Run) -> Iterator[None]:
    """For the time of the block, on a filesystem that has locks."""
    with (run.path / f".{STAGE.name}.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ResourceError(f"Another precache of {run.shown} is going on", "Wait for its end, or end it") from None
        except OSError:
            pass  # a network filesystem without locks
        yield


def _histories(work: Work) -> Histories:
    """All that users did, exported events included."""
    corpus, folder = work.input(Corpus), work.settings.precache.events
    if folder is None:
        return histories_of(corpus)
    later = read_later(Path(folder))
    known = histories_of(corpus, later)
    counts = {"joined": known.joined, "unknown": known.unknown, "forgotten": known.forgotten}
    work.count("topk", events={"store": later.store, "seq": later.seq, **counts})
    work.line.say(
        f"{known.joined:,} later events joined the histories, {known.unknown:,} of unknown items were left out, "
        f"{known.forgotten:,} users were forgotten"
    )
    return known


def _since(work: Work) -> TopKSnapshot | None:
    """The snapshot whose answers may be carried over; None, said aloud, where more than histories has changed."""
    given = work.settings.precache.since
    if given is None:
        return None
    since = TopKSnapshot.open(located(given, work.run.private(SNAPSHOTS)))
    different = changed(since, work, CODE)
    if different:
        work.line.say(f"nothing is carried over from {given}: it has another {', another '.join(different)}")
        return None
    since.verify()  # what is damaged there would get a good checksum here
    return since


def _job(work: Work, since: str) -> Job:
    """The job of this request, begun or not, and no other."""
    jobs, name = work.run.kept(STAGE.name), f"{work.request[:16]}-{since[:16] or 'all'}"
    for other in jobs.folders(""):
        if other != name or work.settings.run.force:
            jobs.delete_folder(other)
    return Job(jobs.below(name))


def _rank(work: Work, job: Job, users: int, opener: Opener, pool: Pool) -> None:
    def report(done: int, total: int) -> None:
        ranked = round(users * done / total)
        if ranked:
            work.line(ranked, users, f"ranked {ranked:,} of {users:,} users")

    work.line(0, users, "opening the model")
    settings = sharing_cores(work.settings, work.settings.precache.workers)
    kwargs = {"run": work.run.absolute(), "settings": settings, "opener": opener}
    job.rank(RankUnits, kwargs, pool, report)


def _write_items(work: Work, known: Histories) -> None:
    """What the snapshot says of items: the catalogue, popular ones, neighbours."""
    corpus, behaviour, folder = work.input(Corpus), work.input(Behaviour), work.out("topk")
    chosen, blocked = work.settings.precache, Rules.of(corpus, work.settings.recommend).blocked
    write_catalogue(
        folder,
        items=corpus.items,
        codes=work.input(ItemTokens).codes,
        popularity=np.bincount(known.items.values, minlength=corpus.n_items),
        blocked=blocked,
        metadata=chosen.metadata,
    )
    write_similar(folder, *similar_items(behaviour, work.input(ItemVectors), blocked, chosen.similar))
    work.count("topk", items=corpus.n_items)


def _write_users(work: Work, known: Histories, stamps_U: Stamps, answers: Iterable[tuple[Int32, Ranking]]) -> None:
    """The users' lists; refused unless everybody has one."""
    chosen, total = work.settings.precache, len(known.items)
    recent = slice(None) if chosen.history is None else slice(-chosen.history, None)
    writer = TopKWriter(work.out("topk"), shards=chosen.shards, kept=chosen.kept)
    stamps = pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), total, [None, pa.py_buffer(stamps_U)])
    for users, ranking in answers:
        rows, kept = pa.array(users), [known.items[int(user)][recent] for user in users]
        writer.add(users_batch(known.user_ids.take(rows), ranking.items, ranking.scores, kept, stamps.take(rows)))
        work.line(writer.written, total, "writing the snapshot")
    writer.finish(known.user_ids)


def _raw(settings: Settings) -> dict[str, str]:
    """The exported events by content; `InputError` where there are none."""
    folder = settings.precache.events
    if folder is not None:
        require_later(Path(folder))
    return local_files("events", folder)


STAGE = Stage(
    name="precache",
    makes=("topk",),
    needs=(Corpus, ItemVectors, Behaviour, ItemTokens, Recommender, Convergence),
    reads=("precache", "recommend"),
    code=CODE,
    build=build,
    raw=_raw,
)


def run(settings: Settings) -> None:
    """Run this stage alone."""
    run_stages(settings, (STAGE,))
    settle(settings)


if __name__ == "__main__":
    main(run, "pipelines.precache")

"""Parts of a precache job that need no cluster: units, and what an earlier snapshot has answered."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines import precache_units
from pipelines.console import StageLine
from pipelines.precache import settle
from pipelines.precache_carry import Carried, changed, stamps_of
from pipelines.precache_units import SCORED, Job, Unit
from pipelines.stage import Work
from semconv.artifacts import (
    NONE,
    Ragged,
    Run,
    TopKSnapshot,
    TopKWriter,
    finish,
    staging,
    users_batch,
    write_similar,
)
from semconv.artifacts.snapshot_store import SnapshotStore
from semconv.artifacts.store_files import StoreFiles
from semconv.artifacts.topk_catalogue import write_catalogue
from semconv.config import PrecacheSettings, RecommendSettings, RunSettings, Settings, determining
from semconv.errors import ArtifactError
from semconv.recommend.ranker import Ranking


def job_in(folder: Path) -> Job:
    return Job(StoreFiles.open(str(folder)))


def unit_of(job: Job, name: str) -> Unit:
    return Unit.of(pq.read_table(job.files.path(name)))


@settings(deadline=None, max_examples=30)
@given(users=st.integers(0, 40), batch_size=st.integers(1, 12), units=st.integers(1, 9), seed=st.integers(0, 99))
def test_units_hold_every_user_once_with_all_that_they_did(
    tmp_path_factory: pytest.TempPathFactory, users: int, batch_size: int, units: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    histories = Ragged.of([rng.integers(0, 9, rng.integers(0, 5)).tolist() for _ in range(50)])
    asked = np.sort(rng.permutation(50)[:users])
    job = job_in(tmp_path_factory.mktemp("job"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(precache_units, "UNITS", units)
        job.divide(asked, histories, batch_size)
    found = [unit_of(job, name) for name in job.left()]
    assert [unit.number for unit in found] == list(range(len(found)))
    assert len(found) <= units
    assert [user for unit in found for user in unit.users.tolist()] == asked.tolist()
    for unit in found:
        assert [row.tolist() for row in unit.histories] == [histories[user].tolist() for user in unit.users]


def answered(job: Job, attempt: Path, number: int) -> Ranking:
    """Write a unit's answers as a try does that has come to the end of it."""
    unit = unit_of(job, job.left()[number])
    scores = np.array([[0.5, 0.25], [1, -np.inf]], np.float32)[: len(unit.users)]
    ranking = Ranking(np.where(np.isinf(scores), NONE, unit.users[:, None]).astype(np.int32), scores)
    row = unit.answered(ranking)
    assert row.schema == SCORED
    for folder, name, columns in (("done", "x", ["unit"]), ("scored", "x-0", SCORED.names)):
        (attempt / folder).mkdir(parents=True)
        pq.write_table(row.select(columns), attempt / folder / f"{name}.parquet")
    return ranking


def test_a_units_answers_read_as_they_were_written(tmp_path: Path) -> None:
    job = job_in(tmp_path)
    job.divide(np.array([2, 0]), Ragged.of([[1], [2, 3], []]), 5)
    ranking = answered(job, tmp_path / "tries" / "0000", 0)
    assert (job.left(), job.share()) == ([], 1)
    ((users, found),) = job.answers()
    assert users.tolist() == [2, 0]
    np.testing.assert_array_equal(found.items, ranking.items)
    np.testing.assert_array_equal(found.scores, ranking.scores)


def test_answers_that_are_there_twice_or_in_part_count_once(tmp_path: Path) -> None:
    job, tries = job_in(tmp_path), tmp_path / "tries"
    job.divide(np.arange(3), Ragged.of([[1], [2], [3]]), 1)
    answered(job, tries / "0000", 0)
    shutil.copytree(tries / "0000", tries / "0001")
    answered(job, tries / "0002", 0)
    (tries / "0003" / "done").mkdir(parents=True)
    (tries / "0003" / "scored").mkdir()
    pq.write_table(pa.table({"unit": [2]}), tries / "0003" / "done" / "x.pending.parquet")
    (tries / "0003" / "scored" / "x-0.parquet").write_bytes(b"PAR1")
    assert job.left() == ["units/00002.parquet"]
    assert [users.tolist() for users, _ in job.answers()] == [[0], [1]]


def test_damaged_answers_are_named(tmp_path: Path) -> None:
    job = job_in(tmp_path)
    job.divide(np.arange(1), Ragged.of([[1]]), 1)
    answered(job, tmp_path / "tries" / "0000", 0)
    (tmp_path / "tries" / "0000" / "scored" / "x-0.parquet").write_bytes(b"PAR1")
    with pytest.raises(ArtifactError, match=r"x-0\.parquet cannot be read.*--run\.force"):
        list(job.answers())
    (tmp_path / "tries" / "0000" / "done" / "x.parquet").write_bytes(b"")
    with pytest.raises(ArtifactError, match=r"x\.parquet cannot be read.*--run\.force"):
        job.left()


def snapshot_of(target: Path, histories: dict[str, list[int]]) -> TopKSnapshot:
    """Whoever is in it has the length of the history as best item."""
    with staging(target) as folder:
        writer = TopKWriter(folder, shards=3, kept=1)
        ids, rows = pa.array(histories, pa.string()), Ragged.of(list(histories.values()))
        lengths = rows.lengths[:, None]
        writer.add(
            users_batch(ids, lengths.astype(np.int32), lengths.astype(np.float32), rows, stamps_of(rows).tolist())
        )
        writer.finish(ids)
        codes, items = np.zeros((9, 2), np.int32), pa.table({"item_id": [f"i{item}" for item in range(9)]})
        write_catalogue(folder, items=items, codes=codes, popularity=np.ones(9, np.int64), metadata=())
        write_similar(folder, np.full((9, 1), NONE), np.zeros((9, 1), np.float32))
        asked = {"precache": {"k": 1, "filter_seen": True}, "recommend": determining(RecommendSettings())}
        finish(folder, "topk", settings=asked, inputs={}, counts={"code": 2}, request="asked", seconds=0)
    return TopKSnapshot.open(target)


def test_carried_over_are_those_whose_whole_history_is_the_same(tmp_path: Path) -> None:
    then = {"same": [1, 2], "more": [3], "less": [4, 5], "order": [6, 7], "gone": [8], "üser": []}
    now = {"new": [1], "üser": [], "more": [3, 3], "order": [7, 6], "same": [1, 2], "less": [4]}
    histories = Ragged.of(list(now.values()))
    carried = Carried(snapshot_of(tmp_path / "topk", then), pa.array(now, pa.string()), stamps_of(histories))
    assert [user for user, kept in zip(now, carried.users_U, strict=True) if kept] == ["üser", "same"]
    users, items = (np.concatenate(found) for found in zip(*((u, r.items) for u, r in carried.answers()), strict=True))
    assert dict(zip(users.tolist(), items.ravel().tolist(), strict=True)) == {1: 0, 4: 2}


def test_nothing_is_carried_over_to_nobody(tmp_path: Path) -> None:
    nobody = Ragged.of([])
    carried = Carried(snapshot_of(tmp_path / "topk", {"ann": [1]}), pa.array([], pa.string()), stamps_of(nobody))
    assert list(carried.answers()) == []


@pytest.mark.parametrize(
    ("precache", "recommend", "code", "named"),
    [
        ({"shards": 7, "history": 2, "similar": 3, "metadata": (), "batch_size": 9}, {}, 2, []),
        ({"k": 2}, {}, 2, ["precache.kept"]),
        ({"filter_seen": False}, {}, 2, ["precache.filter_seen"]),
        ({}, {"beams": 60, "blocked": ("a",)}, 2, ["recommend.beams", "recommend.blocked"]),
        ({}, {"per_category": 3}, 3, ["recommend.per_category", "the code"]),
    ],
)
def test_what_has_changed_is_named(
    tmp_path: Path, precache: dict[str, object], recommend: dict[str, object], code: int, named: list[str]
) -> None:
    since = snapshot_of(tmp_path / "topk", {"ann": [1]})
    chosen = PrecacheSettings.model_validate({"k": 1, **precache})
    told = Settings(precache=chosen, recommend=RecommendSettings.model_validate(recommend))
    work = Work(told, Run(str(tmp_path), "run"), "asked", StageLine("precache"))
    assert changed(since, work, code) == named


def test_a_snapshot_made_from_another_artifact_is_another(tmp_path: Path) -> None:
    since = snapshot_of(tmp_path / "topk", {"ann": [1]})
    told = Settings(precache=PrecacheSettings(k=1))
    work = Work(told, Run(str(tmp_path), "run"), "asked", StageLine("precache"), {"topk": since})
    assert changed(since, work, 2) == ["topk"]


def test_a_finished_snapshot_is_published_once_and_a_roll_back_stays(tmp_path: Path) -> None:
    chosen = PrecacheSettings(k=1, store=str(tmp_path / "store"))
    told = Settings(precache=chosen, run=RunSettings(root=str(tmp_path), name="run"))
    run, store = Run(str(tmp_path), "run"), SnapshotStore.open(str(tmp_path / "store"))
    snapshot_of(run.artifact("topk"), {"ann": [1]})
    settle(told)
    first = store.current()
    assert first is not None
    snapshot_of(run.artifact("topk"), {"ann": [1], "bob": [2]})
    job = run.private("precache") / "asked-all"
    job.mkdir(parents=True)
    settle(told)
    assert not job.exists()
    assert [first, store.current()] == store.versions()
    store.point(first)
    settle(told)
    assert store.current() == first
    assert len(store.versions()) == 2

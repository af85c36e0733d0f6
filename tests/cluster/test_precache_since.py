"""Incremental precache: exactly the users whose history has changed are ranked, or everybody where more has."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import precache_shop
import pyarrow as pa
import pytest
from precache_shop import RECOMMEND, USERS, Asked, make_shop, precache, shards_of, user_ids_of
from ray import cloudpickle

from semconv.artifacts import Corpus, Run, TopKSnapshot
from semconv.corpus.later import EVENTS, erased_digest, write_later
from semconv.errors import ArtifactError, InputError

STORE = "0123456789abcdef" * 2
CHANGED = [3, 31, 58]
"""Users with later events: 5% of all."""


@pytest.fixture(scope="module", autouse=True)
def openers_reach_the_workers() -> Iterator[None]:
    cloudpickle.register_pickle_by_value(precache_shop)
    yield
    cloudpickle.unregister_pickle_by_value(precache_shop)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return make_shop(tmp_path_factory.mktemp("since"))


@pytest.fixture(scope="module")
def corpus(run: Run) -> Corpus:
    return Corpus.open(run.artifact("corpus"))


@pytest.fixture(scope="module")
def before(run: Run, tmp_path_factory: pytest.TempPathFactory) -> TopKSnapshot:
    return precache(run, tmp_path_factory.mktemp("before") / "topk")


@pytest.fixture(scope="module")
def events(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Changed users, a new one, one who was forgotten, and an item that nobody knows."""
    folder = tmp_path_factory.mktemp("events")
    happened = [(corpus.user_ids[user], "i0") for user in CHANGED] + [("new", "i1"), ("new", "i2"), ("new", "odd")]
    rows = [{"user_id": user, "item_id": item, "time": 0} for user, item in happened]
    erased = [erased_digest(STORE, corpus.user_ids[9])]
    write_later(folder, [pa.RecordBatch.from_pylist(rows, EVENTS)], store=STORE, seq=7, erased=erased)
    return folder


def test_exactly_the_users_whose_history_has_changed_are_ranked(
    run: Run, corpus: Corpus, before: TopKSnapshot, events: Path, tmp_path: Path
) -> None:
    everybody = precache(run, tmp_path / "all", events=str(events))
    asked = Asked(tmp_path / "asked")
    after = precache(run, tmp_path / "topk", asked, events=str(events), since=str(before.path), batch_size=2)
    expected = [[*corpus.sequences[user].tolist(), 0] for user in CHANGED] + [[1, 2]]
    assert sorted(asked.histories) == sorted(expected)
    assert shards_of(after) == shards_of(everybody)
    forgotten = corpus.user_ids[9]
    assert user_ids_of(after) == sorted({*corpus.user_ids, "new"} - {forgotten})
    counts = after.manifest.counts
    assert (counts["carried"], counts["computed"]) == (USERS - len(CHANGED) - 1, len(CHANGED) + 1)
    assert counts["events"] == {"store": STORE, "seq": 7, "joined": 5, "unknown": 1, "forgotten": 1}
    assert after.events == (STORE, 7)
    for user in set(range(USERS)) - {*CHANGED, 9}:
        then, now = before.lookup(corpus.user_ids[user]), after.lookup(corpus.user_ids[user])
        assert then is not None
        assert now is not None
        np.testing.assert_array_equal(now.items, then.items)
        np.testing.assert_array_equal(now.scores, then.scores)


def test_nobody_is_ranked_where_nothing_has_changed_that_a_list_depends_on(
    run: Run, before: TopKSnapshot, tmp_path: Path
) -> None:
    asked = Asked(tmp_path / "asked")
    other = {"shards": 2, "history": 3, "similar": 4, "metadata": ("title",), "batch_size": 3}
    after = precache(run, tmp_path / "topk", asked, since=str(before.path), **other)
    assert asked.histories == []
    assert after.manifest.counts["carried"] == USERS
    assert user_ids_of(after) == user_ids_of(before)


def test_everybody_is_ranked_by_other_settings(
    run: Run, before: TopKSnapshot, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked, blocked = Asked(tmp_path / "asked"), RECOMMEND.model_copy(update={"blocked": ("i4",)})
    after = precache(run, tmp_path / "topk", asked, since=str(before.path), recommend=blocked, spare=1)
    assert len(asked.histories) == after.manifest.counts["computed"] == USERS
    told = f"nothing is carried over from {before.path}: it has another recommend.blocked, another precache.kept\n"
    assert told in capsys.readouterr().err


def test_everybody_is_ranked_by_another_model(
    before: TopKSnapshot, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = Asked(tmp_path / "asked")
    precache(make_shop(tmp_path, seed=6), tmp_path / "topk", asked, since=str(before.path))
    assert len(asked.histories) == USERS
    assert "it has another tokens\n" in capsys.readouterr().err


def test_nothing_is_carried_over_from_a_snapshot_that_was_damaged(
    run: Run, before: TopKSnapshot, tmp_path: Path
) -> None:
    damaged = tmp_path / "damaged"
    shutil.copytree(before.path, damaged)
    shard = damaged / "shards" / "00000.arrow"
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    with pytest.raises(ArtifactError, match=r"00000\.arrow is not what was published"):
        precache(run, tmp_path / "topk", since=str(damaged))
    assert not (tmp_path / "topk").exists()


def test_an_interrupted_incremental_job_goes_on(run: Run, before: TopKSnapshot, events: Path, tmp_path: Path) -> None:
    chosen = {"events": str(events), "since": str(before.path), "batch_size": 1}
    asked = Asked(tmp_path / "asked")
    with pytest.raises(Exception, match="enough"):
        precache(run, tmp_path / "topk", Asked(asked.log, fails_after=2), **chosen)
    after = precache(run, tmp_path / "topk", asked, **chosen)
    assert len({tuple(history) for history in asked.histories}) == len(CHANGED) + 1
    assert shards_of(after) == shards_of(precache(run, tmp_path / "all", events=str(events)))


def test_what_is_no_snapshot_and_no_export_is_refused(run: Run, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="does not exist"):
        precache(run, tmp_path / "topk", since=str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match=r"it has no events\.json"):
        precache(run, tmp_path / "topk", events=str(tmp_path))

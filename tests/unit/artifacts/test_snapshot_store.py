"""The snapshot store on a local disk: whole versions or none, whatever happens in between."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from semconv.artifacts import SnapshotStore, TopKSnapshot, located
from semconv.artifacts import snapshot_store as module
from semconv.artifacts.store_files import StoreFiles
from semconv.errors import ArtifactError, SettingError
from tests.unit.artifacts.shop_snapshot import CATALOGUE, USERS, answer, history_of, write_snapshot


def test_what_is_published_is_fetched_whole_and_is_current(
    store: SnapshotStore, snapshot: TopKSnapshot, tmp_path: Path
) -> None:
    assert (store.versions(), store.current()) == ([], None)
    version = store.publish(snapshot)
    assert (store.versions(), store.current(), store.chosen(None)) == ([version], version, version)
    store.verify(version)
    fetched = TopKSnapshot.open(store.fetch(version, tmp_path / "cache"))
    assert fetched.manifest == snapshot.manifest
    fetched.verify()


def test_an_empty_store_says_that_it_is_empty(store: SnapshotStore, where: Path) -> None:
    with pytest.raises(ArtifactError, match="holds no snapshot"):
        store.chosen(None)
    assert not where.exists()


def test_retention_keeps_the_newest_and_the_current_one(store: SnapshotStore, snapshot: TopKSnapshot) -> None:
    first = store.publish(snapshot)
    published = [first, *(store.publish(snapshot, keep=9) for _ in range(4))]
    assert store.versions() == published == sorted(published)
    store.point(first)
    assert store.prune(2) == published[1:3]
    assert (store.versions(), store.current()) == ([first, *published[3:]], first)
    latest = store.publish(snapshot, keep=1)
    assert (store.versions(), store.current()) == ([latest], latest)


def test_versions_sort_by_age_even_after_the_clock_was_set_back(
    store: SnapshotStore, snapshot: TopKSnapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = store.publish(snapshot)

    class Earlier(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:
            return datetime.now(tz) - timedelta(days=400)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "datetime", Earlier)
    assert store.publish(snapshot, keep=1) > first
    assert len(store.versions()) == 1


def test_a_version_that_is_being_fetched_stays_until_it_is_there(
    store: SnapshotStore, snapshot: TopKSnapshot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = store.publish(snapshot)
    store.publish(snapshot)
    get, removed = StoreFiles.get, list[str]()

    def get_while_pruning(self: StoreFiles, name: str, target: Path | None) -> str:
        removed.extend(store.prune(1))
        return get(self, name, target)

    monkeypatch.setattr(StoreFiles, "get", get_while_pruning)
    store.fetch(first, tmp_path / "cache")
    assert removed == []
    assert store.prune(1) == [first]


def test_a_snapshot_that_is_replaced_while_it_is_published_is_published_as_it_was_or_not_at_all(
    store: SnapshotStore, snapshot: TopKSnapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, put = store.publish(snapshot), StoreFiles.put

    def replaced_after(files: int) -> None:
        seen = iter(range(files))

        def put_and_replace(self: StoreFiles, source: Path, name: str) -> str:
            digest = put(self, source, name)
            if next(seen, None) is None:
                write_snapshot(snapshot.path, ["somebody else"])
            return digest

        monkeypatch.setattr(StoreFiles, "put", put_and_replace)

    replaced_after(len(snapshot.manifest.files) - 1)
    store.verify(store.publish(snapshot))
    replaced_after(1)
    with pytest.raises(ArtifactError, match="is another snapshot than the one that was opened"):
        store.publish(snapshot)
    opened_now = TopKSnapshot.open(write_snapshot(snapshot.path, USERS).path)
    with pytest.raises(ArtifactError, match="is not what was published"):
        store.publish(opened_now)
    assert len(store.versions()) == 2
    assert before in store.versions()


def test_what_was_current_before_is_known_whatever_was_published_since(
    store: SnapshotStore, snapshot: TopKSnapshot
) -> None:
    good, bad = store.publish(snapshot), store.publish(snapshot)
    assert store.before() == [good]
    store.point(good)
    assert store.before() == []
    worse = store.publish(snapshot)
    assert (store.current(), store.before()) == (worse, [good])
    store.point(bad)
    assert store.before() == [worse, good]
    store.point(good)
    assert store.before() == []


def test_the_way_back_is_not_pruned(store: SnapshotStore, snapshot: TopKSnapshot) -> None:
    good = store.publish(snapshot)
    for _ in range(3):
        latest = store.publish(snapshot, keep=2)
        assert (store.current(), store.before()) == (latest, [good])
        assert good in store.versions()
        store.point(good)
    store.prune(1)
    assert store.versions() == [good, latest]


@pytest.mark.parametrize("step", ["read", "point"])
def test_a_version_that_is_taken_up_in_the_moment_of_its_removal_comes_back(
    store: SnapshotStore, snapshot: TopKSnapshot, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = store.publish(snapshot)
    second = store.publish(snapshot)
    delete = StoreFiles.delete

    def delete_as_somebody_comes(self: StoreFiles, name: str) -> None:
        if name.endswith("manifest.json"):
            # What `_reading` and `point` write, between the removal's first look and its last.
            self.write(*(("CURRENT", first.encode()) if step == "point" else (f"reading/{first}.other", b"")))
        delete(self, name)

    monkeypatch.setattr(StoreFiles, "delete", delete_as_somebody_comes)
    assert store.prune(1) == []
    assert store.versions() == [first, second]
    store.verify(first)


def test_a_reader_that_died_long_ago_keeps_nothing(store: SnapshotStore, snapshot: TopKSnapshot, where: Path) -> None:
    first = store.publish(snapshot)
    store.publish(snapshot)
    mark = where / "reading" / f"{first}.dead"
    mark.write_bytes(b"")
    assert store.prune(1) == []
    long_ago = time.time() - module.ABANDONED_S - 1
    os.utime(mark, (long_ago, long_ago))
    assert store.prune(1) == [first]
    assert list(mark.parent.iterdir()) == []


def test_publications_at_once_are_all_whole_and_one_is_current(store: SnapshotStore, snapshot: TopKSnapshot) -> None:
    with ThreadPoolExecutor(4) as pool:
        versions = list(pool.map(lambda _: store.publish(snapshot, keep=9), range(4)))
    assert sorted(versions) == store.versions()
    assert store.current() in versions
    for version in versions:
        store.verify(version)


def test_publications_at_once_that_keep_one_leave_a_current_one(store: SnapshotStore, snapshot: TopKSnapshot) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: store.publish(snapshot, keep=1), range(8)))
    store.verify(store.chosen(None))


@pytest.mark.parametrize("version", ["20990101T000000000000-00000000-00000000", "../../etc", ""])
def test_what_is_no_version_is_refused(
    store: SnapshotStore, snapshot: TopKSnapshot, version: str, tmp_path: Path
) -> None:
    store.publish(snapshot)
    for ask in (store.point, store.verify, lambda name: store.fetch(name, tmp_path)):
        with pytest.raises(ArtifactError, match="no version"):
            ask(version)


def test_export_says_ids_in_the_place_of_indices(store: SnapshotStore, snapshot: TopKSnapshot, tmp_path: Path) -> None:
    out = tmp_path / "somewhere" / "exported"
    store.export(store.publish(snapshot), out)
    assert sorted(path.name for path in out.iterdir()) == ["items.parquet", "users"]
    assert list(out.parent.iterdir()) == [out]
    rows = {row["user_id"]: row for row in pq.read_table(out / "users").to_pylist()}
    assert rows.keys() == set(USERS)
    for number, user in enumerate(USERS):
        items, scores = answer(number)
        assert rows[user]["items"] == [CATALOGUE[item] for item in items]
        assert rows[user]["scores"] == scores
        assert rows[user]["history"] == [CATALOGUE[item] for item in history_of(number)]
    items = pq.read_table(out / "items.parquet").to_pylist()
    assert [item["item_id"] for item in items] == CATALOGUE
    assert items[1]["similar"] == [CATALOGUE[0]]
    assert (items[2]["similar"], items[4]["categories"]) == ([], ["Fruit", "本"])


def test_a_setting_names_a_folder_a_version_or_a_store(
    store: SnapshotStore, snapshot: TopKSnapshot, where: Path, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    first, second = store.publish(snapshot), store.publish(snapshot)
    assert located(str(snapshot.path), cache) == snapshot.path
    assert located(str(where), cache) == cache / second
    assert located(f"{where}#{first}", cache) == cache / first
    assert located(f"{where.as_uri()}#{first}", cache) == cache / first
    assert located(where.as_uri(), cache) == cache / second
    assert located(str(tmp_path / "absent"), cache) == tmp_path / "absent"
    odd = write_snapshot(tmp_path / "a#b", ["a"])
    assert located(str(odd.path), cache) == odd.path
    with pytest.raises(ArtifactError, match="holds no snapshot"):
        located(f"{tmp_path / 'absent'}#", cache)


@pytest.mark.parametrize(
    "uri", ["s3://SECRETNAME:SECRETKEY@bucket/path", "s3://SECRETNAME@bucket", "nosuch://SECRETNAME@a"]
)
def test_keys_in_a_uri_are_refused_and_not_repeated(uri: str) -> None:
    with pytest.raises(SettingError) as caught:
        SnapshotStore.open(uri)
    assert "SECRETKEY" not in str(caught.value)
    assert "SECRETNAME" not in str(caught.value)


def test_keys_of_the_environment_are_in_no_message(store: SnapshotStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a+b/very/secret")

    def told(*given: object) -> object:
        raise OSError("refused: a+b/very/secret is wrong")

    monkeypatch.setattr(StoreFiles, "_listed", told)
    with pytest.raises(ArtifactError, match=r"refused: \$AWS_SECRET_ACCESS_KEY is wrong"):
        store.versions()

"""The snapshot store on an S3-compatible server: the same promises, through HTTP."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pyarrow.fs import FileSystem

from pipelines.snapshots import run
from semconv.artifacts import SnapshotStore, TopKSnapshot, located
from semconv.errors import ArtifactError
from tests.s3 import ENVIRONMENT, SECRET, keys, new_bucket
from tests.unit.artifacts.shop_snapshot import USERS, answer


@pytest.fixture
def uri(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A store in a bucket of its own."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    return new_bucket(s3_server, "shop/snapshots")


def test_versions_are_published_checked_pointed_to_fetched_and_pruned(
    uri: str, s3_server: str, snapshot: TopKSnapshot, tmp_path: Path
) -> None:
    store = SnapshotStore.open(uri)
    assert (store.versions(), store.current()) == ([], None)
    first, second, third = (store.publish(snapshot) for _ in range(3))
    assert (store.versions(), store.current()) == ([first, second, third], third)
    store.verify(second)
    store.point(first)
    opened = TopKSnapshot.open(located(uri, tmp_path / "cache"))
    assert opened.path.name == first
    for number, user in enumerate(USERS):
        found = opened.lookup(user)
        assert found is not None
        assert found.items.tolist() == answer(number)[0]
    assert store.prune(1) == [second]
    assert (store.versions(), store.current()) == ([first, third], first)
    assert {key.split("/")[3] for key in keys(s3_server, uri) if "/versions/" in key} == {first, third}
    assert not [key for key in keys(s3_server, uri) if "/reading/" in key]


def test_the_setting_may_name_a_version(uri: str, snapshot: TopKSnapshot, tmp_path: Path) -> None:
    first, _ = (SnapshotStore.open(uri).publish(snapshot) for _ in range(2))
    assert located(f"{uri}#{first}", tmp_path / "cache") == tmp_path / "cache" / first


def test_an_object_of_another_content_or_none_is_found_and_not_fetched(
    uri: str, snapshot: TopKSnapshot, tmp_path: Path
) -> None:
    store = SnapshotStore.open(uri)
    version = store.publish(snapshot)
    filesystem, root = FileSystem.from_uri(uri)
    items = f"{root}/versions/{version}/items.arrow"
    with filesystem.open_output_stream(items) as stream:
        stream.write(b"something else")
    with pytest.raises(ArtifactError, match=r"items\.arrow is not what was published"):
        store.verify(version)
    filesystem.delete_file(items)
    with pytest.raises(ArtifactError, match=r"items\.arrow cannot be reached"):
        store.fetch(version, tmp_path / "cache")
    assert not (tmp_path / "cache" / version).exists()


def test_publications_at_once_are_all_whole(uri: str, snapshot: TopKSnapshot) -> None:
    with ThreadPoolExecutor(3) as pool:
        versions = list(pool.map(lambda _: SnapshotStore.open(uri).publish(snapshot, keep=9), range(3)))
    store = SnapshotStore.open(uri)
    assert store.versions() == sorted(versions)
    for version in versions:
        store.verify(version)


def test_a_copy_serves_while_the_server_is_out_of_reach_and_no_message_has_the_key(
    uri: str, snapshot: TopKSnapshot, tmp_path: Path
) -> None:
    version = SnapshotStore.open(uri).publish(snapshot)
    copy = located(f"{uri}#{version}", tmp_path / "cache")
    away = uri.replace("/shop/", "-away/shop/")
    assert located(f"{away}#{version}", tmp_path / "cache") == copy
    shutil.rmtree(copy)
    with pytest.raises(ArtifactError) as caught:
        located(f"{away}#{version}", tmp_path / "cache")
    assert SECRET not in str(caught.value)


def test_an_export_and_a_list_of_an_object_store(uri: str, snapshot: TopKSnapshot, tmp_path: Path) -> None:
    version = SnapshotStore.open(uri).publish(snapshot)
    assert run(["list", "--store", uri]).startswith(f"* {version}")
    run(["export", "--store", uri, "--out", str(tmp_path / "out")])
    assert (tmp_path / "out" / "users" / "00000.parquet").is_file()

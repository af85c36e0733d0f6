"""Snapshots that are damaged, cut short, published on a full disk or by a dying process: never served."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from semconv.artifacts import SnapshotStore, TopKSnapshot
from semconv.artifacts.store_files import StoreFiles
from semconv.errors import ArtifactError, ResourceError
from tests.unit.artifacts.shop_snapshot import USERS, write_snapshot


def test_a_killed_publication_is_no_version_and_is_cleared_up_later(
    store: SnapshotStore, snapshot: TopKSnapshot, where: Path
) -> None:
    before = store.publish(snapshot)
    script = (
        "import os, signal; from semconv.artifacts import SnapshotStore, TopKSnapshot\n"
        "from semconv.artifacts.store_files import StoreFiles\n"
        "put, put_before = StoreFiles.put, []\n"
        "def dying(*given):\n"
        "    if len(put_before) == 3: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    put_before.append(0); return put(*given)\n"
        "StoreFiles.put = dying\n"
        f"SnapshotStore.open({str(where)!r}).publish(TopKSnapshot.open({str(snapshot.path)!r}))\n"
    )
    assert subprocess.run([sys.executable, "-c", script]).returncode == -signal.SIGKILL
    assert (store.versions(), store.current()) == ([before], before)
    assert len(list((where / "versions").iterdir())) == 2
    assert store.prune(1) == []
    for mark in (where / "reading").iterdir():
        os.utime(mark, (0, 0))
    assert len(store.prune(1)) == 1
    assert [folder.name for folder in (where / "versions").iterdir()] == [before]


def test_a_damaged_snapshot_is_not_published(store: SnapshotStore, snapshot: TopKSnapshot, where: Path) -> None:
    items = snapshot.path / "items.arrow"
    items.write_bytes(items.read_bytes().replace(b"zebra", b"zebrA"))
    with pytest.raises(ArtifactError, match=r"items\.arrow is not what was published"):
        store.publish(snapshot)
    assert (store.versions(), store.current(), list((where / "versions").iterdir())) == ([], None, [])


def truncated(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-8])


def swapped(file: Path) -> None:
    file.write_bytes((file.parent / "popular.arrow").read_bytes())


@pytest.mark.parametrize("damage", [truncated, swapped, Path.unlink])
def test_damage_in_the_store_is_found_by_name_and_never_fetched(
    damage: Callable[[Path], None], store: SnapshotStore, snapshot: TopKSnapshot, where: Path, tmp_path: Path
) -> None:
    version = store.publish(snapshot)
    damage(where / "versions" / version / "items.arrow")
    for ask in (lambda: store.verify(version), lambda: store.fetch(version, tmp_path / "cache")):
        with pytest.raises(ArtifactError, match=r"items\.arrow (is not what was published|cannot be reached)"):
            ask()
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [f".{version}.lock"]


def test_a_manifest_that_names_files_outside_is_refused(
    store: SnapshotStore, snapshot: TopKSnapshot, where: Path, tmp_path: Path
) -> None:
    version = store.publish(snapshot)
    manifest = where / "versions" / version / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"items.arrow"', '"../items.arrow"'))
    with pytest.raises(ArtifactError, match=r"names \.\./items\.arrow, outside"):
        store.fetch(version, tmp_path / "cache")


@pytest.mark.parametrize("name", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_gets_full_leaves_what_was_current(
    name: int, store: SnapshotStore, snapshot: TopKSnapshot, where: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = store.publish(snapshot)

    def full(*given: object) -> str:
        raise OSError(name, os.strerror(name))

    monkeypatch.setattr("semconv.artifacts.store_files._copied", full)
    with pytest.raises(ResourceError, match="disk got full"):
        store.publish(snapshot)
    assert (store.versions(), store.current()) == ([before], before)
    assert [folder.name for folder in (where / "versions").iterdir()] == [before]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96k", "tmpfs", disk], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


@pytest.mark.parametrize("looked", [True, False])
def test_on_a_disk_that_is_too_small_nothing_is_published(
    small_disk: Path, looked: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the look at the free space beforehand, and where somebody else fills the disk after it."""
    if not looked:
        monkeypatch.setattr(StoreFiles, "require_space", lambda *given: None)
    store = SnapshotStore.open(str(small_disk / "store"))
    before = store.publish(write_snapshot(tmp_path / "small", USERS))
    with pytest.raises(ResourceError):
        store.publish(write_snapshot(tmp_path / "large", [f"user {number}" for number in range(2000)]))
    assert (store.versions(), store.current()) == ([before], before)
    store.verify(before)

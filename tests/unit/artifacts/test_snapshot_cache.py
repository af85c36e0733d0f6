"""Node-local copies: made once, whole, found again without the store, and gone when nobody has asked for long."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from semconv.artifacts import SnapshotStore, TopKSnapshot, located
from semconv.artifacts import snapshot_cache as module
from semconv.errors import ArtifactError
from tests.unit.artifacts.shop_snapshot import USERS, answer


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-8])


def test_a_copy_serves_while_the_store_is_gone(
    store: SnapshotStore, snapshot: TopKSnapshot, where: Path, tmp_path: Path
) -> None:
    version = store.publish(snapshot)
    copy = store.fetch(version, tmp_path / "cache")
    shutil.rmtree(where)
    assert located(f"{where}#{version}", tmp_path / "cache") == copy
    TopKSnapshot.open(copy).verify()


def test_a_damaged_copy_is_replaced(store: SnapshotStore, snapshot: TopKSnapshot, tmp_path: Path) -> None:
    version = store.publish(snapshot)
    copy = store.fetch(version, tmp_path / "cache")
    for damaged in ("items.arrow", "manifest.json"):
        truncate(copy / damaged)
        assert store.fetch(version, tmp_path / "cache") == copy
        TopKSnapshot.open(copy).verify()


def test_processes_that_fetch_at_once_make_one_copy(
    store: SnapshotStore, snapshot: TopKSnapshot, where: Path, tmp_path: Path
) -> None:
    version, cache = store.publish(snapshot), tmp_path / "cache"
    script = (
        "import sys, time; from pathlib import Path; from semconv.artifacts import SnapshotStore, snapshot_cache\n"
        "copy_whole = snapshot_cache.copy_whole\n"
        "def slowly(*given):\n"
        "    print('copied'); copy_whole(*given); time.sleep(0.5)\n"
        "import semconv.artifacts.snapshot_store as store; store.copy_whole = slowly\n"
        f"SnapshotStore.open({str(where)!r}).fetch({version!r}, Path({str(cache)!r}))\n"
    )
    started = [subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) for _ in range(3)]
    told = [process.communicate()[0] for process in started]
    assert [process.returncode for process in started] == [0, 0, 0]
    assert sorted(told) == ["", "", "copied\n"]
    TopKSnapshot.open(cache / version).verify()


def test_a_copy_of_a_folder_is_not_touched_by_what_happens_to_the_folder(
    snapshot: TopKSnapshot, tmp_path: Path
) -> None:
    copy = located(str(snapshot.path), tmp_path / "cache", own=True)
    opened = TopKSnapshot.open(copy)
    for file in snapshot.path.rglob("*.arrow"):
        os.truncate(file, 0)
    for number, user in enumerate(USERS):
        found = opened.lookup(user)
        assert found is not None
        assert found.items.tolist() == answer(number)[0]
    assert located(str(snapshot.path), tmp_path / "cache", own=True) == copy
    shutil.rmtree(tmp_path / "cache")
    with pytest.raises(ArtifactError, match="is not what was published"):
        located(str(snapshot.path), tmp_path / "cache", own=True)
    with pytest.raises(ArtifactError, match="no manifest"):
        located(str(tmp_path / "absent"), tmp_path / "cache", own=True)


def test_copies_that_nobody_asked_for_go_and_what_is_not_a_copy_stays(
    store: SnapshotStore, snapshot: TopKSnapshot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "KEPT", 2)
    cache = tmp_path / "cache"
    versions = [store.publish(snapshot, keep=9) for _ in range(4)]
    copies = [store.fetch(version, cache) for version in versions[:3]]
    (cache / "somebody else's").mkdir()
    for path in cache.iterdir():
        os.utime(path, (1000, 1000))
    assert store.fetch(versions[0], cache) == copies[0]
    store.fetch(versions[3], cache)
    assert {path.name for path in cache.iterdir() if path.is_dir()} == {
        versions[0],
        versions[3],
        "somebody else's",
    }
    recently = time.time() - module.UNUSED_S / 2
    os.utime(copies[0], (recently, recently))
    for version in versions[1:3]:
        store.fetch(version, cache)
    assert copies[0].exists()

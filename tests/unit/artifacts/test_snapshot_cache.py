"""Node-local copies: made once, whole, found again without the store, and gone when nobody has asked for long."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from semconv.artifacts import SnapshotStore, TopKSnapshot, located
from semconv.artifacts import snapshot_cache as module
from semconv.errors import ArtifactError
from tests.unit.artifacts.shop_snapshot import USERS, answer, write_snapshot


def bytes_read(work: Callable[[], object]) -> int:
    """How many bytes this process asks files for in ``work``; mapped pages are not counted."""

    def so_far() -> int:
        return int(Path("/proc/self/io").read_text().split()[1])

    before = so_far()
    work()
    return so_far() - before


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


def test_a_copy_is_read_whole_once_a_start_of_the_machine_however_many_ask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = write_snapshot(tmp_path / "large", [f"user {number}" for number in range(8000)], step=4000)
    size, cache = sum(file["bytes"] for file in large.manifest.files.values()), tmp_path / "cache"
    assert size > 400_000

    def ask() -> Path:
        return located(str(large.path), cache, own=True)

    copy = ask()
    assert bytes_read(ask) < size / 2
    monkeypatch.setattr(module, "boot", lambda: "another start")
    assert bytes_read(ask) >= size
    assert bytes_read(ask) < size / 2
    file = copy / "items.arrow"
    content = file.read_bytes()
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    os.utime(file, (1000, 1000))
    assert ask() == copy
    TopKSnapshot.open(copy).verify()


def test_a_machine_that_does_not_tell_its_starts_has_every_copy_read_again(
    snapshot: TopKSnapshot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "boot", lambda: None)
    size = sum(file["bytes"] for file in snapshot.manifest.files.values())
    for _ in range(2):
        assert bytes_read(lambda: located(str(snapshot.path), tmp_path / "cache", own=True)) >= size


def test_two_who_clear_up_at_once_do_not_disturb_each_other(
    snapshot: TopKSnapshot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "KEPT", 0)
    cache = tmp_path / "cache"
    served = located(str(snapshot.path), cache, own=True)
    for round_ in range(40):
        for number in range(6):
            old = cache / f"copy-{round_ * 6 + number:032x}"
            old.mkdir()
            (old / "file").write_bytes(b"")
            os.utime(old, (1000, 1000))
        with ThreadPoolExecutor(4) as pool:
            asked = [pool.submit(located, str(snapshot.path), cache, own=True) for _ in range(8)]
        assert [one.result() for one in asked] == [served] * 8
    assert [path.name for path in cache.iterdir() if path.is_dir()] == [served.name]
    assert [path.name for path in cache.iterdir() if not path.is_dir()] == [f".{served.name}.lock"]


def test_a_copy_that_is_asked_for_while_others_clear_up_is_still_there(
    snapshot: TopKSnapshot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A version of long ago is asked for again, by somebody else, between the look at its age and its removal."""
    monkeypatch.setattr(module, "KEPT", 0)
    cache, other = tmp_path / "cache", write_snapshot(tmp_path / "other", USERS[:3])
    old = located(str(other.path), cache, own=True)
    os.utime(old, (1000, 1000))
    forget = module._forget

    def asked_for_just_before(path: Path) -> None:
        os.utime(old)
        forget(path)

    monkeypatch.setattr(module, "_forget", asked_for_just_before)
    located(str(snapshot.path), cache, own=True)
    TopKSnapshot.open(old).verify()

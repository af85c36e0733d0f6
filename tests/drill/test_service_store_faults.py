"""The event store locked and the disk full while the service is asked: it answers on, and loses nothing accepted."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from semconv.artifacts import Corpus, Run, TopKSnapshot
from serve.store import FILE, open_store
from tests.conftest import REPOSITORY, tool
from tests.e2e.load import Load
from tests.e2e.served import Service, served

DISK_BYTES = 24_000_000


@pytest.fixture(scope="module")
def small_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A file system of its own, small enough to be filled."""
    folder = tmp_path_factory.mktemp("disk")
    mounted = [tool("mount"), "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)]
    if subprocess.run(mounted, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small file system needs rights that this user does not have")
    yield folder
    subprocess.run([tool("umount"), "--lazy", str(folder)], check=True)


@pytest.fixture(scope="module")
def service(tiny_run: Run, small_disk: Path) -> Iterator[Service]:
    with served(tiny_run, small_disk / "state") as started:
        yield started


@pytest.fixture(scope="module")
def corpus(tiny_run: Run) -> Corpus:
    return Corpus.open(tiny_run.artifact("corpus"))


@pytest.fixture(scope="module")
def snapshot(tiny_run: Run) -> TopKSnapshot:
    return TopKSnapshot.open(tiny_run.artifact("topk"))


def send(client: httpx.Client, corpus: Corpus, number: int) -> int:
    """Send an event of a user of its own; the answer's status."""
    event = {"user_id": f"visitor {number}", "item_id": corpus.item_ids[number % corpus.n_items]}
    return client.post("/v1/events", json=event, headers={"idempotency-key": f"event-{number}"}).status_code


@contextlib.contextmanager
def full(folder: Path) -> Iterator[None]:
    """A file takes all that is left of the disk, for the time of the block."""
    ballast = folder / "ballast"
    try:
        with ballast.open("wb", buffering=0) as stream, contextlib.suppress(OSError):
            while True:
                stream.write(b"\0" * 4096)
        yield
    finally:
        ballast.unlink()


def require_stored(service: Service, accepted: list[int]) -> None:
    """Every accepted event is in the log once, and no other of these."""
    store = open_store(service.state / FILE)
    try:
        for number in range(max(accepted) + 1):
            assert len(store.events_of(f"visitor {number}")) == (number in accepted)
    finally:
        store.close()


def test_a_locked_event_store_refuses_events_and_stops_no_answer(
    service: Service, corpus: Corpus, snapshot: TopKSnapshot
) -> None:
    with service.client() as client, Load(service.url, snapshot) as load:
        assert send(client, corpus, 0) == 201
        with contextlib.closing(sqlite3.connect(service.state / FILE)) as other:
            other.execute("BEGIN EXCLUSIVE")
            assert send(client, corpus, 1) == 503
            assert client.get("/v1/users/visitor 0/recommendations").status_code == 200
            load.reach(100)
            other.rollback()
        assert send(client, corpus, 2) == 201
    assert load.failures == []
    require_stored(service, [0, 2])


def test_a_full_disk_refuses_events_stops_no_answer_and_loses_nothing_that_was_accepted(
    service: Service, corpus: Corpus, snapshot: TopKSnapshot
) -> None:
    accepted, refused = [0, 2], 0
    with service.client() as client, Load(service.url, snapshot) as load:
        with full(service.state.parent):
            for number in range(10, 400):
                status = send(client, corpus, number)
                assert status in (201, 503)
                refused += status == 503
                if status == 201:
                    accepted.append(number)
                if refused >= 5:
                    break
            load.reach(100)
        assert refused >= 5
        assert send(client, corpus, 500) == 201
        accepted.append(500)
    assert load.failures == []
    require_stored(service, accepted)


def test_a_disk_that_is_full_at_a_publication_leaves_the_current_version(
    service: Service, snapshot: TopKSnapshot, small_disk: Path
) -> None:
    def snapshots(action: str, *more: object) -> subprocess.CompletedProcess[str]:
        program = [sys.executable, "-m", "pipelines.snapshots", action, "--store", small_disk / "store", *more]
        return subprocess.run(list(map(str, program)), cwd=REPOSITORY, capture_output=True, text=True, check=False)

    assert snapshots("publish", "--snapshot", snapshot.path).returncode == 0
    before = snapshots("list").stdout
    with full(small_disk), Load(service.url, snapshot) as load:
        refused = snapshots("publish", "--snapshot", snapshot.path)
        load.reach(100)
    assert load.failures == []
    assert refused.returncode == 2
    assert len(refused.stderr.splitlines()) == 1
    assert snapshots("list").stdout == before
    assert snapshots("verify").returncode == 0
    assert snapshots("publish", "--snapshot", snapshot.path).returncode == 0

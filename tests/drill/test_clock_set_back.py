"""The wall clock set back by hours while a service answers, takes events and changes what it serves.

The service's processes are preloaded with tests/drill/clock.c, so no clock but theirs is set.
"""

from __future__ import annotations

import shutil
import signal
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from semconv.artifacts import Run, TopKSnapshot
from serve.store import FILE, open_store
from tests.conftest import REPOSITORY, tool
from tests.e2e.load import CONNECTIONS, Load
from tests.e2e.other_snapshot import write_reversed
from tests.e2e.served import Service, served
from tests.e2e.writer import Writer

HOURS = 2
USER = "somebody new"


class Clock:
    """What is added to the wall clock of whoever runs with this ``environment``."""

    def __init__(self, folder: Path) -> None:
        library, self._file = folder / "clock.so", folder / "clock"
        source = REPOSITORY / "tests" / "drill" / "clock.c"
        subprocess.run([tool("gcc", "cc"), "-O2", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
        self._file.write_bytes(struct.pack("q", 0))
        self.environment = {
            "LD_PRELOAD": str(library),
            "RAY_LD_PRELOAD_ON_WORKERS": "1",
            "SET_CLOCK": str(self._file),
        }

    def set_back(self, hours: float) -> None:
        with self._file.open("r+b") as file:
            file.write(struct.pack("q", round(-3600 * hours)))


@pytest.fixture(scope="module")
def clock(tmp_path_factory: pytest.TempPathFactory) -> Clock:
    return Clock(tmp_path_factory.mktemp("clock"))


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("drill") / "state"


@pytest.fixture(scope="module")
def service(tiny_run: Run, clock: Clock, state: Path) -> Iterator[Service]:
    with served(tiny_run, state, environment=clock.environment) as started:
        yield started


@pytest.fixture(scope="module")
def snapshot(tiny_run: Run) -> TopKSnapshot:
    return TopKSnapshot.open(tiny_run.artifact("topk"))


def age_s(service: Service) -> float:
    """How old the snapshot is by the clock of the replica that answers."""
    with service.client() as client:
        return float(client.get("/v1/status").json()["age_s"])


def seen(service: Service, item_id: str) -> str:
    """Where the list comes from that follows an event of the one user that these tests are about."""
    with service.client() as client:
        told = client.post("/v1/events", json={"user_id": USER, "item_id": item_id})
        assert told.status_code == 201
        answer = client.get(f"/v1/users/{USER}/recommendations")
        assert answer.status_code == 200
        return str(answer.json()["source"])


@pytest.mark.timeout(900)
def test_events_lists_and_swaps_go_on(
    service: Service, clock: Clock, state: Path, tiny_run: Run, snapshot: TopKSnapshot, tmp_path: Path
) -> None:
    other = write_reversed(snapshot, tiny_run, tmp_path / "topk")
    items = [snapshot.item(place).item_id for place in range(3)]
    before_s = age_s(service)
    with Load(service.url, snapshot, other) as load, Writer(service.url, snapshot) as writer:
        assert seen(service, items[0]) == "live"
        load.reach(300)
        clock.set_back(HOURS)
        assert age_s(service) == pytest.approx(before_s - 3600 * HOURS, abs=600)
        assert seen(service, items[1]) == "live"
        load.reach(500)
        writer.reach(20)
        for wanted, arguments in ((other, ["--serve.snapshot", other.path]), (snapshot, [])):
            done = service.command("serve.swap", *arguments)
            assert done.returncode == 0, done.stderr
            before = load.answers.copy()
            load.reach(300)
            assert (load.answers - before).keys() == {wanted.fingerprint}
        assert load.failures == []
        service.processes("Gateway")[0].send_signal(signal.SIGKILL)
        killed = time.monotonic()
        load.reach(500)
        assert seen(service, items[2]) == "live"
        writer.reach(20)
    print(f"lost {len(load.failures)} of {load.answers.total()} requests, all open at the kill; events: {writer.told}")
    assert len(load.failures) <= CONNECTIONS
    assert load.later(killed + 1) == []
    writer.require_stored(state)
    store = open_store(state / FILE)
    try:
        assert [event.item_id for event in store.events_of(USER)] == items
    finally:
        store.close()


@pytest.mark.timeout(900)
def test_a_restart_by_a_clock_set_back_serves_what_was_served_and_knows_every_event(
    tiny_run: Run, clock: Clock, snapshot: TopKSnapshot, tmp_path: Path
) -> None:
    clock.set_back(0)
    own = tmp_path / "state"
    with served(tiny_run, own, environment=clock.environment) as first, Writer(first.url, snapshot) as writer:
        writer.reach(20)
    clock.set_back(HOURS)
    with served(tiny_run, own, environment=clock.environment) as again, Load(again.url, snapshot) as load:
        load.reach(100)
        with again.client() as client:
            assert client.get("/v1/status").json()["events"]["position"] == len(writer.accepted)
    assert load.failures == []
    writer.require_stored(own)
    shutil.rmtree(own)

"""Processes of the service killed or stopped while it is asked without a pause: who notices, and for how long."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from semconv.artifacts import Corpus, Run, TopKSnapshot
from semconv.artifacts.snapshot_store import located
from tests.e2e.load import CONNECTIONS, Load, is_ready
from tests.e2e.other_snapshot import damaged, truncate
from tests.e2e.served import Service, served
from tests.e2e.writer import Writer

BACK_S = 120.0
UNREACHED = {"ConnectError", "ReadError", "RemoteProtocolError"}
"""What a client is told where nobody listens, or who did is gone."""
UNTOLD = "not found. Ping http://.../-/routes for available routes."
"""What HAProxy itself says, with 404, once it is up again and before Serve has told it of replicas."""


@pytest.fixture(scope="module")
def snapshot(tiny_run: Run) -> TopKSnapshot:
    return TopKSnapshot.open(tiny_run.artifact("topk"))


@pytest.fixture(scope="module")
def own_run(tiny_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The tiny shop again, to be damaged."""
    run = Run(str(tmp_path_factory.mktemp("runs")), tiny_run.path.name)
    shutil.copytree(tiny_run.path, run.path)
    return run


@pytest.fixture(scope="module")
def service(own_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    own = ["--serve.live_deadline_s", 5]
    with served(own_run, tmp_path_factory.mktemp("drill") / "state", *own) as started:
        yield started


def wait(holds: Callable[[], bool], patience_s: float = BACK_S) -> float:
    """Wait until it holds; seconds that it took."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < patience_s
        time.sleep(0.05)
    return time.monotonic() - began


def others(service: Service, name: str, known: set[int]) -> list[psutil.Process]:
    return [process for process in service.processes(name) if process.pid not in known]


def seen(load: Load, writer: Writer, back_s: float) -> str:
    """What a drill came to, for docs/reliability.md."""
    lost, answered = len(load.failures), load.answers.total()
    return f"lost {lost} of {lost + answered} requests; back after {back_s:.1f} s; events: {writer.told}"


def live_source(service: Service, corpus: Corpus) -> str:
    with service.client() as client:
        response = client.post("/v1/recommendations", json={"history": [corpus.item_ids[0]]})
    assert response.status_code == 200
    return str(response.json()["source"])


@pytest.fixture(scope="module")
def corpus(tiny_run: Run) -> Corpus:
    return Corpus.open(tiny_run.artifact("corpus"))


def test_an_ingress_replica_killed_loses_its_open_connections_at_most_and_none_after_a_second(
    service: Service, snapshot: TopKSnapshot
) -> None:
    known = {process.pid for process in service.processes("Gateway")}
    with Load(service.url, snapshot) as load, Writer(service.url, snapshot) as writer:
        load.reach(300)
        service.processes("Gateway")[0].send_signal(signal.SIGKILL)
        killed = time.monotonic()
        back_s = wait(lambda: len(others(service, "Gateway", known)) > 0)
        load.reach(500)
        writer.reach(20)
    print(seen(load, writer, back_s))
    assert len(load.failures) <= CONNECTIONS
    assert load.later(killed + 1) == []
    writer.require_stored(service.state)


def test_a_live_replica_killed_costs_no_answer_and_comes_back(
    service: Service, snapshot: TopKSnapshot, corpus: Corpus
) -> None:
    assert live_source(service, corpus) == "live"
    with Load(service.url, snapshot) as load, Writer(service.url, snapshot) as writer:
        service.processes("semconv:Live")[0].send_signal(signal.SIGKILL)
        assert live_source(service, corpus) == "fallback"
        back_s = wait(lambda: live_source(service, corpus) == "live")
        load.reach(100)
    print(seen(load, writer, back_s))
    assert load.failures == []
    assert writer.failures == 0
    writer.require_stored(service.state)


def test_a_live_deployment_without_a_replica_for_a_minute_costs_no_answer(
    service: Service, snapshot: TopKSnapshot, corpus: Corpus
) -> None:
    killed: set[int] = set()
    with Load(service.url, snapshot) as load, Writer(service.url, snapshot) as writer:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            for process in others(service, "semconv:Live", killed):  # again and again, before it has opened its model
                process.send_signal(signal.SIGKILL)
                killed.add(process.pid)
            assert live_source(service, corpus) == "fallback"
        back_s = wait(lambda: live_source(service, corpus) == "live", patience_s=300.0)
        load.reach(100)
    print(f"{len(killed)} replicas killed; {seen(load, writer, back_s)}")
    assert load.failures == []
    assert writer.failures == 0
    writer.require_stored(service.state)


def test_a_live_model_that_hangs_for_a_minute_is_waited_for_no_longer_than_the_deadline(
    service: Service, snapshot: TopKSnapshot, corpus: Corpus
) -> None:
    (live,) = service.processes("semconv:Live")
    sources = set()
    with Load(service.url, snapshot) as load, Writer(service.url, snapshot) as writer:
        live.suspend()
        try:
            until = time.monotonic() + 60
            while time.monotonic() < until:
                began = time.monotonic()
                sources.add(live_source(service, corpus))
                assert time.monotonic() - began < 20
        finally:
            live.resume()
        back_s = wait(lambda: live_source(service, corpus) == "live")
        load.reach(100)
    print(seen(load, writer, back_s))
    assert sources == {"fallback"}
    assert load.failures == []
    assert writer.failures == 0
    writer.require_stored(service.state)


def test_haproxy_killed_is_back_within_forty_seconds(service: Service, snapshot: TopKSnapshot) -> None:
    with Load(service.url, snapshot) as load, Writer(service.url, snapshot) as writer:
        load.reach(300)
        writer.reach(10)
        service.processes("/haproxy ")[-1].send_signal(signal.SIGKILL)
        back_s = wait(lambda: is_ready(service.url))
        with Load(service.url, snapshot) as later:
            later.reach(300)
        writer.reach(10)
    print(seen(load, writer, back_s))
    assert back_s < 40
    assert later.failures == []
    told = Counter(UNTOLD if UNTOLD in failure.what else failure.what for failure in load.failures)
    print(dict(told))
    assert told.keys() <= {*UNREACHED, UNTOLD}
    writer.require_stored(service.state)


def without_a_file(folder: Path) -> None:
    (folder / "similar.arrow").unlink()


def changed(folder: Path) -> None:
    shard = folder / "shards" / "00000.arrow"
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)


def of_another_corpus(folder: Path) -> None:
    manifest = folder / "manifest.json"
    text = manifest.read_text()
    lineage = TopKSnapshot.open(folder).manifest.lineage
    manifest.write_text(text.replace(lineage["tokens"], "0" * 64))


@pytest.mark.parametrize(
    ("damage", "names"),
    [
        (truncate, "00000.arrow"),
        (without_a_file, "similar.arrow"),
        (changed, "00000.arrow"),
        (of_another_corpus, "tokens"),
        (shutil.rmtree, "manifest"),
    ],
)
def test_a_damaged_snapshot_is_refused_by_name_and_the_old_one_answers_on(
    service: Service, snapshot: TopKSnapshot, tmp_path: Path, damage: Callable[[Path], Any], names: str
) -> None:
    bad = damaged(snapshot, tmp_path / "bad", damage)
    with Load(service.url, snapshot) as load:
        done = service.command("serve.swap", "--serve.snapshot", bad)
        load.reach(100)
    assert done.returncode == 2
    assert names in done.stderr
    assert load.failures == []


def test_files_of_the_run_cut_short_while_they_are_served_cost_no_answer_and_no_replica(
    service: Service, own_run: Run, snapshot: TopKSnapshot
) -> None:
    whole = {file: file.read_bytes() for file in own_run.artifact("topk").rglob("*.arrow")}
    known = {process.pid for process in service.processes("Gateway")}
    with Load(service.url, snapshot) as load, Writer(service.url, snapshot) as writer:
        load.reach(100)
        for file, content in whole.items():
            os.truncate(file, len(content) // 2)
        load.reach(300)
        assert load.failures == []
        assert {process.pid for process in service.processes("Gateway")} == known
        service.processes("Gateway")[0].send_signal(signal.SIGKILL)
        killed = time.monotonic()
        back_s = wait(lambda: len(others(service, "Gateway", known)) > 0)
        load.reach(500)
    print(seen(load, writer, back_s))
    for file, content in whole.items():
        file.write_bytes(content)
    assert len(load.failures) <= CONNECTIONS
    assert load.later(killed + 1) == []
    writer.require_stored(service.state)


def test_a_copy_that_was_damaged_while_nothing_ran_is_made_anew_at_the_start(
    tiny_run: Run, snapshot: TopKSnapshot, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    copy = located(str(snapshot.path), state / "cache", own=True)
    truncate(copy)
    with served(tiny_run, state) as restarted, Load(restarted.url, snapshot) as load:
        load.reach(100)
    assert load.failures == []
    TopKSnapshot.open(copy).verify()

"""What is served changes while it is served: no request lost, no answer of two versions, and back again."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from semconv.artifacts import Run, TopKSnapshot
from semconv.config.serve import VariantSettings
from serve.args import Variants
from serve.last_good import LastGood
from tests.e2e.load import Load
from tests.e2e.other_snapshot import damaged, truncate
from tests.e2e.served import Service, served


@pytest.fixture(scope="module")
def own_service(tiny_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One to be changed, with the run as its only version so far."""
    with served(tiny_run, tmp_path_factory.mktemp("swapped") / "state") as started:
        yield started


def status_of(service: Service) -> dict[str, Any]:
    with service.client() as client:
        return dict(client.get("/v1/status").json())


def live_answer(service: Service, snapshot: TopKSnapshot) -> tuple[str, str]:
    """Source and snapshot of the answer to a history."""
    with service.client() as client:
        answer = client.post("/v1/recommendations", json={"history": [snapshot.item(0).item_id]}).json()
    return answer["source"], answer["versions"]["snapshot"]


def test_two_swaps_under_load_lose_no_request_and_mix_no_versions(
    own_service: Service, snapshot: TopKSnapshot, other: TopKSnapshot
) -> None:
    replicas = {process.pid for process in own_service.processes("Gateway")}
    with Load(own_service.url, snapshot, other) as load:
        load.reach(200)
        for wanted, arguments in ((other, ["--serve.snapshot", other.path]), (snapshot, [])):
            done = own_service.command("serve.swap", *arguments)
            assert done.returncode == 0, done.stderr
            assert f"snapshot {wanted.fingerprint[:12]}" in done.stdout
            assert live_answer(own_service, wanted) == ("live", wanted.fingerprint)
            before = load.answers.copy()
            load.reach(200)
            assert (load.answers - before).keys() == {wanted.fingerprint}
    assert load.failures == []
    assert {process.pid for process in own_service.processes("Gateway")} == replicas
    assert status_of(own_service)["refused"] is None


def test_what_is_damaged_is_refused_in_words_and_what_was_served_answers_on(
    own_service: Service, snapshot: TopKSnapshot, tmp_path: Path
) -> None:
    bad = damaged(snapshot, tmp_path / "bad", truncate)
    with Load(own_service.url, snapshot) as load:
        done = own_service.command("serve.swap", "--serve.snapshot", bad)
        load.reach(100)
    assert done.returncode == 2
    assert "The service refused" in done.stderr
    assert "00000.arrow" in done.stderr
    assert load.failures == []
    status = status_of(own_service)
    assert status["versions"]["snapshot"] == snapshot.fingerprint
    assert "00000.arrow" in status["refused"]["reason"]
    assert status["refused"]["wanted"]["variants"][0]["snapshot"] == str(bad)


def test_a_replica_that_starts_after_a_refusal_agrees_with_the_others(
    own_service: Service, snapshot: TopKSnapshot
) -> None:
    victim = own_service.processes("Gateway")[0]
    victim.kill()
    until = time.monotonic() + 120
    while len({one.pid for one in own_service.processes("Gateway")} - {victim.pid}) < 2:
        assert time.monotonic() < until
        time.sleep(0.2)
    with Load(own_service.url, snapshot) as load:
        load.reach(200)
    assert not [failure for failure in load.failures if "Error" not in failure.what]


def test_a_restart_with_something_broken_comes_up_with_what_was_good_last(
    tiny_run: Run, snapshot: TopKSnapshot, other: TopKSnapshot, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    good = VariantSettings(name="main", run=str(tiny_run.path.absolute()), snapshot=str(other.path))
    LastGood(state).write(Variants(variants=(good,)))
    bad = damaged(snapshot, tmp_path / "bad", truncate)
    with served(tiny_run, state, "--serve.snapshot", bad, "--serve.impressions") as restarted:
        status = status_of(restarted)
        assert status["versions"]["snapshot"] == other.fingerprint
        assert "00000.arrow" in status["refused"]["reason"]
        assert live_answer(restarted, other) == ("live", other.fingerprint)
        with Load(restarted.url, other) as load:
            load.reach(50)
        assert load.failures == []
    shown = pq.read_table(state / "impressions", columns=["position"])
    assert shown.column("position").to_pylist().count(1) == load.answers.total(), "the last ones are written at the end"

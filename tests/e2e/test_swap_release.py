"""A promotion, a roll-back and a night change what a running service serves, and no request fails."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from semconv.artifacts import Run, TopKSnapshot
from semconv.artifacts.release import Releases
from tests.e2e.conftest import Command
from tests.e2e.load import Load
from tests.e2e.other_snapshot import write_reversed
from tests.e2e.served import Service, arguments_of, served


@dataclass
class Shop:
    """A run that a test may change, its releases, the state of its service, and commands about them."""

    run: Run
    state: Path
    releases: Releases
    command: Callable[..., CompletedProcess[str]]

    @property
    def promoted(self) -> str:
        """Fingerprint of the current release's snapshot."""
        return self.releases.chosen(None).artifacts["topk"]


@pytest.fixture(scope="module")
def shop(tiny_run: Run, command: Command, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    folder = tmp_path_factory.mktemp("released")
    run, state = Run(str(folder / "runs"), tiny_run.path.name), folder / "state"
    shutil.copytree(tiny_run.path, run.path)
    releases = Releases(str(folder / "releases"))
    # Lookups take microseconds, and the load takes the machine.
    gate = ["--release.store", releases.where, "--release.latency_growth", 1000, "--serve.state", state]

    def with_settings(module: str, *more: object) -> CompletedProcess[str]:
        return command(f"pipelines.{module}", *more, *arguments_of(run), *gate)

    first = with_settings("release", "promote")
    assert first.returncode == 0, first.stderr
    return Shop(run, state, releases, with_settings)


@pytest.fixture(scope="module")
def own_service(shop: Shop) -> Iterator[Service]:
    """The service of what is promoted."""
    with served(shop.run, shop.state, "--serve.release", shop.releases.where) as started:
        yield started


def test_a_promotion_without_a_service_to_swap_is_refused(shop: Shop, snapshot: TopKSnapshot) -> None:
    assert shop.promoted == snapshot.fingerprint
    refused = shop.command("release", "promote", "--release.service")
    assert refused.returncode == 2
    assert "No service of" in refused.stderr
    assert shop.promoted == snapshot.fingerprint


def test_promotion_and_roll_back_swap_the_service_under_load(
    shop: Shop, own_service: Service, snapshot: TopKSnapshot
) -> None:
    other = write_reversed(snapshot, shop.run, shop.run.artifact("topk"))
    with Load(own_service.url, snapshot, other) as load:
        load.reach(200)
        assert load.answers.keys() == {snapshot.fingerprint}
        for action, wanted in (("promote", other), ("rollback", snapshot)):
            done = shop.command("release", action, "--release.service")
            assert done.returncode == 0, done.stderr
            assert shop.promoted == wanted.fingerprint
            before = Counter(load.answers)
            load.reach(200)
            assert (load.answers - before).keys() == {wanted.fingerprint}
        assert load.failures == []


def test_a_night_takes_the_services_events_in_and_serves_what_came_of_them(
    shop: Shop, own_service: Service, snapshot: TopKSnapshot, tmp_path: Path
) -> None:
    item = snapshot.item(0).item_id
    with own_service.client() as http:
        event = {"user_id": "somebody new", "item_id": item}
        http.post("/v1/events", json=event, headers={"idempotency-key": "once"}).raise_for_status()
        done = shop.command("nightly", "--precache.events", tmp_path / "events", "--release.service")
        assert done.returncode == 0, done.stderr
        assert "1 events are not in the corpus" in done.stderr
        assert f"1 users were ranked anew, {snapshot.n_users} carried over" in done.stderr
        answer = http.get("/v1/users/somebody%20new/recommendations").json()
    assert shop.promoted != snapshot.fingerprint
    assert (answer["source"], answer["versions"]["snapshot"]) == ("cache", shop.promoted)
    assert item not in [one["item_id"] for one in answer["items"]]

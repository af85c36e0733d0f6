"""The declarative way, as on a cluster: `ray start`, `serve deploy` of the config, and the same again to change it."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from semconv.artifacts import Run, TopKSnapshot
from tests.e2e.deployed import Deployed, deployed, wait
from tests.e2e.load import Load
from tests.e2e.other_snapshot import damaged, truncate
from tests.nodes import Nodes, nodes


@pytest.fixture(scope="module")
def cluster() -> Iterator[Nodes]:
    """One node that knows nothing of the service, but where to import it from."""
    with nodes(4) as started:
        yield started


@pytest.fixture(scope="module")
def application(cluster: Nodes, tiny_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Deployed:
    return deployed(cluster, tiny_run, tmp_path_factory.mktemp("deployed"))


def replicas(cluster: Nodes) -> tuple[set[int], set[int]]:
    """Processes of the ingress, and of the live model."""
    gateways, lives = (cluster.head.processes(f"semconv:{name}") for name in ("Gateway", "Live"))
    return {one.pid for one in gateways}, {one.pid for one in lives}


def test_the_config_with_another_snapshot_is_a_hot_swap_and_so_is_the_way_back(
    cluster: Nodes, application: Deployed, snapshot: TopKSnapshot, other: TopKSnapshot
) -> None:
    known = replicas(cluster)
    assert list(map(len, known)) == [2, 1]
    with Load(application.url, snapshot, other) as load:
        for wanted, chosen in ((other, other.path), (snapshot, None)):
            load.reach(100)
            assert application.deploy(chosen).returncode == 0
            enough = load.answers[wanted.fingerprint] + 100
            wait(lambda wanted=wanted, enough=enough: load.answers[wanted.fingerprint] >= enough)  # type: ignore[misc]
    assert load.failures == []
    assert replicas(cluster) == known


def test_a_damaged_snapshot_is_refused_by_every_replica_and_the_one_before_answers_on(
    cluster: Nodes, application: Deployed, snapshot: TopKSnapshot, tmp_path: Path
) -> None:
    known = replicas(cluster)
    refused: dict[str, str] = {}

    def all_refused() -> bool:
        status = application.status()
        if status["refused"]:
            refused[status["replica"]] = status["refused"]["reason"]
        return len(refused) == len(known[0])

    with Load(application.url, snapshot) as load:
        assert application.deploy(damaged(snapshot, tmp_path / "bad", truncate)).returncode == 0  # Serve cannot know
        wait(all_refused)
        load.reach(100)
    assert all("00000.arrow" in reason for reason in refused.values())
    assert load.failures == []
    assert replicas(cluster) == known
    assert application.deploy(None).returncode == 0


def test_who_has_not_the_clusters_token_deploys_nothing(
    application: Deployed, snapshot: TopKSnapshot, other: TopKSnapshot
) -> None:
    for environment in ({"RAY_AUTH_TOKEN": secrets.token_hex(32)}, {"RAY_AUTH_TOKEN": "", "RAY_AUTH_MODE": "disabled"}):
        done = application.deploy(other.path, **environment)
        assert done.returncode != 0
        assert "token" in done.stdout + done.stderr
    with Load(application.url, snapshot) as load:  # an answer from the other would be a failure
        load.reach(500)
    assert load.failures == []

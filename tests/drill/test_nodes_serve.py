"""The service on several nodes: it answers on while one goes, with all that ran there, and another comes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import httpx
import pytest

from semconv.artifacts import Corpus, Run, TopKSnapshot
from tests.e2e.deployed import Deployed, deployed, wait
from tests.e2e.load import CONNECTIONS, Load
from tests.nodes import Node, Nodes, nodes

GATEWAY, LIVE = "semconv:Gateway", "semconv:Live"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Nodes]:
    """A head that runs nothing but what Ray Serve needs itself, and two nodes to work on."""
    with nodes(0, 3, 3) as started:
        yield started


@pytest.fixture(scope="module")
def application(cluster: Nodes, tiny_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Deployed:
    return deployed(cluster, tiny_run, tmp_path_factory.mktemp("deployed"))


@pytest.fixture(scope="module")
def snapshot(tiny_run: Run) -> TopKSnapshot:
    return TopKSnapshot.open(tiny_run.artifact("topk"))


def count(candidates: list[Node], name: str) -> int:
    return sum(len(node.processes(name)) for node in candidates)


def live_again(application: Deployed, run: Run) -> Callable[[], bool]:
    """Whether a history is answered by the live model."""
    item = Corpus.open(run.artifact("corpus")).item_ids[0]

    def asked() -> bool:
        response = httpx.post(
            f"{application.url}/v1/recommendations", json={"history": [item]}, timeout=120, trust_env=False
        )
        assert response.status_code == 200, response.text
        return bool(response.json()["source"] == "live")

    return asked


@pytest.mark.timeout(900)
def test_a_node_goes_and_another_comes_and_known_users_are_answered_on(
    cluster: Nodes, application: Deployed, tiny_run: Run, snapshot: TopKSnapshot
) -> None:
    assert count([cluster.head], GATEWAY) == count([cluster.head], LIVE) == 0
    assert [count([node], GATEWAY) for node in cluster.others] == [1, 1], "replicas must not lie on one node"
    with Load(application.url, snapshot) as load:
        load.reach(300)
        gone, stays = sorted(cluster.others, key=lambda node: -count([node], LIVE))
        gone.kill()
        killed = time.monotonic()
        newcomer = cluster.start(3)
        wait(live_again(application, tiny_run))  # no 5xx meanwhile either
        wait(lambda: count([stays, newcomer], GATEWAY) == 2)
        back_s = time.monotonic() - killed
        load.reach(500)
    print(f"lost {len(load.failures)} of {load.answers.total()} requests; all there again after {back_s:.0f} s")
    assert len(load.failures) <= CONNECTIONS
    assert load.later(killed + 1) == []

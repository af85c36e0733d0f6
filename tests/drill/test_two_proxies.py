"""Two machines, each with an HAProxy of its own: while one has none, the other answers as if nothing were."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from semconv.artifacts import Run, TopKSnapshot
from serve import keys
from tests.e2e.deployed import Guard, deployed, wait
from tests.e2e.load import Load, is_ready
from tests.networks import other_network
from tests.nodes import Nodes

BACK_S = 40.0
HAPROXY = "/haproxy "


@pytest.mark.timeout(900)
def test_while_haproxy_of_one_node_is_killed_that_of_the_other_answers(tiny_run: Run, tmp_path: Path) -> None:
    snapshot = TopKSnapshot.open(tiny_run.artifact("topk"))
    with other_network() as network:
        cluster = Nodes(network.here)
        try:
            cluster.start(4)
            cluster.wait_for(1)
            second = cluster.start(4, network.within, network.there)
            cluster.wait_for(2)
            file = tmp_path / "keys.json"
            guard = Guard(file, keys.add(file, "drill", ["read"]), (network.here, network.there))
            application = deployed(cluster, tiny_run, tmp_path, guard)
            other = f"http://{network.there}:{application.port}"
            wait(lambda: is_ready(other))
            assert second.processes(HAPROXY)
            with Load(other, snapshot, headers=guard.headers) as load:
                load.reach(100)
                cluster.head.processes(HAPROXY)[-1].kill()
                killed = time.monotonic()
                assert not is_ready(application.url)
                wait(lambda: is_ready(application.url))
                back_s = time.monotonic() - killed
                load.reach(100)
        finally:
            cluster.end()
    print(f"lost {len(load.failures)} of {load.answers.total()} requests through the other; back after {back_s:.1f} s")
    assert load.failures == []
    assert back_s < BACK_S

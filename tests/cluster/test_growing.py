"""A cluster that starts nodes by itself is given time for those that a stage lacks: Ray's autoscaler, fake machines."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.nodes import Nodes

MACHINES = {
    "ray.head.default": {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0},
    "gpu": {"resources": {"CPU": 2, "GPU": 1}, "node_config": {}, "min_workers": 1, "max_workers": 2},
}
PROVIDER = {"type": "fake_multinode", "disable_node_updaters": True, "disable_launch_config_check": True}
COMMANDS = "initialization_commands", "setup_commands", "head_setup_commands", "worker_setup_commands"
STARTS = "head_start_ray_commands", "worker_start_ray_commands"


def test_a_stage_waits_for_the_nodes_that_its_workers_want(tmp_path: Path) -> None:
    cluster = Nodes()
    config = {
        "cluster_name": "growing",
        "max_workers": 2,
        "upscaling_speed": 1.0,
        "idle_timeout_minutes": 5,
        "provider": PROVIDER | {"gcs_address": cluster.address},
        "auth": {"ssh_user": "ubuntu"},
        "docker": {},
        "available_node_types": MACHINES,
        "head_node_type": "ray.head.default",
        "file_mounts": {},
        "cluster_synced_files": [],
        "rsync_exclude": [],
        "rsync_filter": [],
        **{name: [] for name in (*COMMANDS, *STARTS)},
    }
    file = tmp_path / "autoscaling.json"
    file.write_text(json.dumps(config))
    cluster.environment |= {"RAY_FAKE_CLUSTER": "1", "AUTOSCALER_UPDATE_INTERVAL_S": "1"}
    try:
        cluster.start(0, more=["--autoscaling-config", file])
        cluster.wait_for(2)
        done = cluster.run([sys.executable, "-m", "tests.cluster.growing_job"])
    finally:
        cluster.end()
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert "align.workers is 2 and the cluster has 1 GPUs" in found["at once"]
    assert found["in time"] is True
    assert "align.workers is 3 and the cluster has 2 GPUs" in found["too many"]
    assert "waiting for 2 GPUs, of which the cluster has 1" in found["told"]

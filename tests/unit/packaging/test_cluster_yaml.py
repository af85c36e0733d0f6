"""The files for `ray up`: valid by Ray's own schema, closed, and of the versions that are pinned. No cloud is asked."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import ValidationError
from ray.autoscaler._private.aws.config import _create_default_inbound_rules
from ray.autoscaler._private.util import prepare_config, validate_config
from ray.scripts.scripts import start as ray_start

from serve.ingress import flags

REPOSITORY = Path(__file__).parents[3]
FILES = ("cluster.yaml", "cluster-local.yaml")
COMMANDS = (
    "initialization_commands",
    "setup_commands",
    "head_setup_commands",
    "worker_setup_commands",
    "head_start_ray_commands",
    "worker_start_ray_commands",
)


@cache
def written(file: str) -> dict[str, Any]:
    return dict(yaml.safe_load((REPOSITORY / file).read_text(encoding="utf-8")))


def prepared(file: str) -> dict[str, Any]:
    """What `ray up` makes of the file: its own defaults under it."""
    return dict(prepare_config(written(file)))


def start(file: str, node: str) -> str:
    return str(written(file)[f"{node}_start_ray_commands"][-1])


@pytest.mark.parametrize("file", FILES)
def test_rays_own_validation_accepts_it(file: str) -> None:
    validate_config(prepared(file))
    with pytest.raises(ValidationError):
        validate_config(prepared(file) | {"a_field_that_ray_does_not_know": 1})


@pytest.mark.parametrize("file", FILES)
def test_no_command_is_rays_default(file: str) -> None:
    assert set(COMMANDS) <= set(written(file))
    everything = yaml.safe_dump(prepared(file))
    assert not re.search(r"ray-wheels|nightly|pip install|https?://|curl|wget", everything)
    assert "0.0.0.0" not in everything


@pytest.mark.parametrize("file", FILES)
def test_the_dashboard_listens_on_loopback_and_everything_asks_for_the_token(file: str) -> None:
    assert "--dashboard-host=127.0.0.1" in start(file, "head")
    for node in ("head", "worker"):
        assert "RAY_AUTH_MODE=token " in start(file, node)
    assert written(file)["file_mounts"] == {"~/.ray/auth_token": "~/.ray/auth_token"}


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize(("mode", "code"), [(0o600, 0), (0o644, 1)])
def test_a_token_that_others_may_read_stops_the_node_with_what_to_do(
    file: str, mode: int, code: int, tmp_path: Path
) -> None:
    token = tmp_path / ".ray" / "auth_token"
    token.parent.mkdir()
    token.write_text("secret")
    token.chmod(mode)
    command = ["bash", "-c", written(file)["setup_commands"][0]]
    done = subprocess.run(command, env={**os.environ, "HOME": str(tmp_path)}, capture_output=True, text=True)
    assert done.returncode == code
    assert ("chmod 600 ~/.ray/auth_token, then ray up again" in done.stdout) == bool(code)


def test_workers_on_aws_have_a_profile_by_which_they_reach_s3() -> None:
    types = written("cluster.yaml")["available_node_types"]
    profiles = {name: node["node_config"].get("IamInstanceProfile") for name, node in types.items()}
    assert profiles.pop("head") is None, "Ray makes the head's own, with rights to start nodes"
    assert profiles
    assert all(profile == {"Name": "semconv-node"} for profile in profiles.values())


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("node", ["head", "worker"])
def test_ray_start_knows_every_option(file: str, node: str) -> None:
    options = start(file, node).partition(" ray start ")[2].split()
    with ray_start.make_context("ray start", options, resilient_parsing=False) as context:
        assert context.params["head"] == (node == "head")
        assert context.params["disable_usage_stats"] is True


@pytest.mark.parametrize("file", FILES)
def test_haproxys_flags_are_set_where_ray_starts(file: str) -> None:
    for node in ("head", "worker"):
        assert " python -m serve.ingress ray start " in start(file, node)
    assert flags(haproxy=True).items() >= {
        ("RAY_SERVE_ENABLE_HA_PROXY", "1"),
        ("RAY_SERVE_THROUGHPUT_OPTIMIZED", "1"),
    }


@pytest.mark.parametrize("file", FILES)
def test_nodes_run_the_images_that_deploy_builds_and_the_ray_that_is_pinned(file: str) -> None:
    images = set(re.findall(r"image: (\S+)", (REPOSITORY / file).read_text(encoding="utf-8")))
    tags = {f"registry.example/semconv:{kind}" for kind in ("cpu", "gpu")}
    assert images
    assert images <= tags
    for tag in tags:
        recipe = REPOSITORY / "deploy" / f"Dockerfile.{tag.rsplit(':', 1)[1]}"
        assert f"-t {tag} " in recipe.read_text(encoding="utf-8")
    python = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    assert written(file)["setup_commands"][1].startswith("python -c 'import ray;")
    subprocess.run(["bash", "-c", written(file)["setup_commands"][1]], env=python, check=True)


@pytest.mark.parametrize("file", FILES)
def test_no_secret_is_written_in_clear(file: str) -> None:
    text = (REPOSITORY / file).read_text(encoding="utf-8")
    assert not re.search(
        r"AKIA[0-9A-Z]{16}|(?i:(secret|token|password|access_key)\w*\s*[=:]\s*['\"]?[\w/+]{16,})", text
    )


def test_aws_has_a_head_without_work_cpu_workers_and_gpus_on_spot_and_on_demand() -> None:
    config = prepared("cluster.yaml")
    types = config["available_node_types"]
    assert types[config["head_node_type"]]["resources"] == {"CPU": 0}
    assert types["cpu"]["resources"].get("GPU", 0) == 0
    gpus = {name: node for name, node in types.items() if node["resources"].get("GPU")}
    markets = {
        node["node_config"].get("InstanceMarketOptions", {}).get("MarketType", "on-demand") for node in gpus.values()
    }
    assert markets == {"spot", "on-demand"}
    assert types["gpu_spot"]["priority"] > types["gpu_on_demand"]["priority"]
    for name, node in types.items():
        if name != config["head_node_type"]:
            assert 0 <= node["min_workers"] < node["max_workers"]
    assert sum(node["max_workers"] for node in types.values()) == config["max_workers"]
    assert {node["docker"]["worker_image"] for node in gpus.values()} == {"registry.example/semconv:gpu"}


def test_aws_lets_nothing_but_ssh_in_from_outside() -> None:
    group = prepared("cluster.yaml")["provider"]["security_group"]
    rules = _create_default_inbound_rules(["sg-own"], group.get("IpPermissions", []))
    outside = [rule for rule in rules if "UserIdGroupPairs" not in rule]
    assert [(rule["FromPort"], rule["ToPort"]) for rule in outside] == [(22, 22)]

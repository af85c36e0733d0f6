"""The Kubernetes manifests: only fields that the published API has, closed, without secrets, and of this project."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import ray
import yaml
from kuberay_api import KUBERAY, TYPES, faults, fields_of
from ray.serve.schema import ServeDeploySchema

from semconv.cli import load_settings
from serve.args import Args, Variants
from serve.ingress import FRONT, flags

FOLDER = Path(__file__).parents[3] / "deploy" / "kubernetes"
FILES = sorted(FOLDER.glob("*.yaml"))
OBJECTS = [one for file in FILES for one in yaml.safe_load_all(file.read_text(encoding="utf-8"))]
SIDE_PORTS = (8404, 9101)
TOKEN = "semconv-ray-token"


def only(kind: str, name: str | None = None) -> dict[str, Any]:
    [found] = [one for one in OBJECTS if one["kind"] == kind and name in (None, one["metadata"]["name"])]
    return dict(found)


def inside(value: Any, name: str) -> Iterator[Any]:
    """Every value under this name, however deep."""
    if isinstance(value, dict):
        if name in value:
            yield value[name]
        for inner in value.values():
            yield from inside(inner, name)
    elif isinstance(value, list):
        for inner in value:
            yield from inside(inner, name)


def clusters() -> dict[str, dict[str, Any]]:
    """The three Ray clusters by who makes them."""
    return {
        "job": only("RayJob")["spec"]["rayClusterSpec"],
        "nightly": only("RayCronJob")["spec"]["jobTemplate"]["rayClusterSpec"],
        "service": only("RayService")["spec"]["rayClusterConfig"],
    }


def test_the_excerpt_names_types_that_it_holds() -> None:
    named = {match["kind"].strip("[]") for kind in TYPES for match in fields_of(kind).values() if match["kind"]}
    assert named - {"", "{}"} <= set(TYPES)


@pytest.mark.parametrize("one", OBJECTS, ids=lambda one: f"{one['kind']}-{one['metadata']['name']}")
def test_every_field_is_one_that_the_published_api_has(one: dict[str, Any]) -> None:
    assert list(faults(one, one["kind"])) == []
    assert (one["apiVersion"] == "ray.io/v1") == (one["kind"] in KUBERAY)
    assert one["kind"] == "Namespace" or one["metadata"]["namespace"] == "semconv"


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("entrypoint", "entryPoint"),
        ("rayClusterSpec", "rayClusterConfig"),
        ("headGroupSpec", "headGroup"),
        ("volumeMounts", "volumeMount"),
        ("authOptions", "auth"),
    ],
)
def test_a_misspelt_field_is_found(name: str, wrong: str) -> None:
    text = json.dumps(only("RayJob"))
    assert list(faults(json.loads(text.replace(f'"{name}"', f'"{wrong}"')), "RayJob"))


def commands(entrypoint: str) -> list[tuple[str, list[str]]]:
    """What an entry point runs, as modules with their arguments."""
    words = shlex.split(entrypoint)
    line = words[2] if words[:2] == ["bash", "-c"] else entrypoint
    parts = [part.split() for part in line.split("&&")]
    assert all(part[:2] == ["python", "-m"] for part in parts)
    return [(part[2], part[3:]) for part in parts]


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """The settings file that the pods see under /etc/semconv."""
    [settings] = only("ConfigMap")["data"].values()
    file = tmp_path / "shop.yaml"
    file.write_text(settings, encoding="utf-8")
    return file


@pytest.mark.parametrize("who", ["job", "nightly"])
def test_jobs_run_commands_that_exist_with_settings_that_are_valid(who: str, shop: Path) -> None:
    spec = only("RayJob")["spec"] if who == "job" else only("RayCronJob")["spec"]["jobTemplate"]
    for module, arguments in commands(spec["entrypoint"]):
        assert (FOLDER.parents[1] / f"{module.replace('.', '/')}.py").is_file()
        if module.startswith("pipelines."):
            loaded = load_settings([str(shop) if word == "/etc/semconv/shop.yaml" else word for word in arguments])
            assert Path(loaded.run.root).is_relative_to("/shared")
            cpus = sum(
                group["replicas"] * int(group["template"]["spec"]["containers"][0]["resources"]["limits"]["cpu"])
                for group in spec["rayClusterSpec"]["workerGroupSpecs"]
            )
            assert loaded.precache.workers + 1 <= cpus


def test_the_service_and_the_jobs_mean_the_same_run_store_and_events(shop: Path) -> None:
    loaded = load_settings(["--config", str(shop)])
    [application] = yaml.safe_load(only("RayService")["spec"]["serveConfigV2"])["applications"]
    told = application["args"]
    assert told["run"] == f"{loaded.run.root}/{loaded.run.name}"
    for deployment in application["deployments"]:
        [main] = deployment["user_config"]["variants"]
        assert main["run"] == told["run"]
        assert main["snapshot"].partition("#")[0] == loaded.precache.store
    assert (told["serve"]["state"], told["serve"]["events"]) == (loaded.serve.state, loaded.serve.events)


def test_the_nightly_run_is_incremental_and_ends_before_the_next_begins() -> None:
    job = only("RayCronJob")["spec"]["jobTemplate"]
    (exports, exported), (precaches, arguments) = commands(job["entrypoint"])
    assert (exports, precaches) == ("serve.events", "pipelines.precache")
    assert "--since" in arguments
    assert exported[exported.index("--out") + 1] == arguments[arguments.index("--precache.events") + 1]
    assert re.fullmatch(r"\d+ \d+ \* \* \*", only("RayCronJob")["spec"]["schedule"])
    assert job["activeDeadlineSeconds"] < timedelta(days=1).total_seconds()
    assert job["backoffLimit"] == 0


def test_the_service_is_one_that_ray_and_semconv_accept() -> None:
    spec = only("RayService")["spec"]
    config = ServeDeploySchema.model_validate(yaml.safe_load(spec["serveConfigV2"]))
    [application] = config.applications
    args = Args.model_validate(application.args)
    args.check()
    assert [one.name for one in application.deployments] == ["Gateway", "Live"]
    for deployment in application.deployments:
        assert Variants.model_validate(deployment.user_config).variants[0].name == "main"
    assert args.serve.keys is not None
    mounted = {mount["mountPath"] for mounts in inside(spec, "volumeMounts") for mount in mounts}
    assert str(Path(args.serve.keys).parent) in mounted
    assert spec["upgradeStrategy"]["type"] == "NewCluster"
    assert args.serve.replicas >= 2


@pytest.mark.parametrize("who", ["job", "nightly", "service"])
def test_every_cluster_asks_for_the_token_and_runs_the_pinned_ray(who: str) -> None:
    cluster = clusters()[who]
    assert cluster["authOptions"] == {"mode": "token", "secretName": TOKEN}
    assert cluster["rayVersion"] == ray.__version__
    images = set(inside(cluster, "image"))
    assert images <= {"registry.example/semconv:cpu", "registry.example/semconv:gpu"}


@pytest.mark.parametrize("who", ["job", "nightly", "service"])
def test_every_container_has_sizes_probes_and_no_rights(who: str) -> None:
    pods = [group["template"]["spec"] for group in clusters()[who]["workerGroupSpecs"]]
    pods.append(clusters()[who]["headGroupSpec"]["template"]["spec"])
    for pod in pods:
        assert pod["securityContext"]["runAsNonRoot"] is True
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
            }
            for bound in ("requests", "limits"):
                assert {"cpu", "memory", "ephemeral-storage"} <= set(container["resources"][bound])
            assert container["resources"]["requests"]["memory"] == container["resources"]["limits"]["memory"]
            assert {"readinessProbe", "livenessProbe"} <= set(container)
            names = {volume["name"] for volume in pod["volumes"]}
            assert {mount["name"] for mount in container["volumeMounts"]} == names


def test_the_service_sets_the_flags_that_serve_ingress_sets() -> None:
    cluster = clusters()["service"]
    environments = list(inside(cluster, "env"))
    assert len(environments) == 2
    for environment in environments:
        assert {one["name"]: one["value"] for one in environment} == flags(haproxy=True) | FRONT


def test_haproxys_side_ports_are_open_to_nobody() -> None:
    policies = [one["spec"] for one in OBJECTS if one["kind"] == "NetworkPolicy"]
    assert {"podSelector": {}, "policyTypes": ["Ingress"]} in policies
    for policy in policies:
        for rule in policy.get("ingress", []):
            assert rule["from"]
            assert rule["ports"]
            for span in rule["ports"]:
                assert not any(span["port"] <= port <= span.get("endPort", span["port"]) for port in SIDE_PORTS)


def test_policies_select_pods_that_exist() -> None:
    labels = {json.dumps(pair) for found in inside(OBJECTS, "labels") for pair in found.items()}
    kuberays = {json.dumps(("ray.io/is-ray-node", "yes")), json.dumps(("ray.io/node-type", "head"))}
    for one in OBJECTS:
        if one["kind"] == "NetworkPolicy":
            for pair in one["spec"]["podSelector"].get("matchLabels", {}).items():
                assert json.dumps(pair) in labels | kuberays


def test_no_secret_is_written_in_clear() -> None:
    assert "Secret" not in {one["kind"] for one in OBJECTS}
    for file in FILES:
        text = file.read_text(encoding="utf-8")
        assert not re.search(
            r"AKIA|(?i:(token|password|secret_access_key|api_key)\w*\s*[=:]\s*['\"]?[\w/+]{16,})", text
        )

"""A change of what is served reaches the replicas that are there, and leaves other applications alone."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from ray.serve._private.deploy_utils import get_app_code_version
from ray.serve.schema import ServeApplicationSchema, ServeDeploySchema

from semconv.config import RaySettings, RunSettings, ServeSettings, Settings
from semconv.config.serve import VariantSettings
from semconv.errors import ArtifactError, ResourceError
from serve import declared, swap
from serve.args import Args, Variants
from serve.running import FILE, Running

ARGS = Args(run=Path("/runs/a"), serve=ServeSettings(keys="keys.json"))
OTHER = {"name": "other", "route_prefix": "/other", "import_path": "shop:app", "args": {"a": 1}}


def variants(run: str) -> Variants:
    return Variants(variants=(VariantSettings(name="main", run=run),))


class Client:
    """Stands for Serve's client: keeps what is deployed, as its controller does."""

    def __init__(self) -> None:
        self.configs: dict[str, dict[str, Any]] = {"other": copy.deepcopy(OTHER), "made in code": {}}

    def get_serve_details(self) -> dict[str, Any]:
        return {"applications": {name: {"deployed_app_config": one or None} for name, one in self.configs.items()}}

    def deploy_apps(self, config: ServeDeploySchema) -> None:
        self.configs = {one.name: one.model_dump(exclude_unset=True) for one in config.applications}

    def schema(self) -> ServeApplicationSchema:
        return ServeApplicationSchema.model_validate(self.configs[declared.NAME])

    def asked(self) -> dict[str, Any]:
        return {one["name"]: one["user_config"] for one in self.configs[declared.NAME]["deployments"]}


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Client:
    client = Client()
    monkeypatch.setattr(declared, "_client", lambda: client)
    return client


def test_an_application_is_deployed_beside_those_that_are_there(client: Client) -> None:
    declared.deploy(declared.declared(ARGS, ARGS.variants, {}))
    assert client.configs.keys() == {"other", declared.NAME}
    assert client.configs["other"] == OTHER
    assert client.asked() == dict.fromkeys(("Gateway", "Live"), ARGS.variants.as_json())
    assert Args.model_validate(client.schema().args) == ARGS


def test_a_change_is_one_that_serve_makes_in_place(client: Client) -> None:
    declared.deploy(declared.declared(ARGS, ARGS.variants, {"RAY_SERVE_ENABLE_HA_PROXY": "1"}))
    before = get_app_code_version(client.schema())
    assert declared.change(variants("/runs/b")) == ARGS.variants
    assert get_app_code_version(client.schema()) == before
    assert client.asked() == dict.fromkeys(("Gateway", "Live"), variants("/runs/b").as_json())
    assert client.configs["other"] == OTHER
    assert declared.change(variants("/runs/c")) == variants("/runs/b")


def test_options_that_a_config_sets_stay_and_what_it_does_not_ask_for_is_what_args_ask_for(client: Client) -> None:
    config = declared.declared(ARGS, ARGS.variants, {}).model_dump(exclude_unset=True)
    config["deployments"] = [{"name": "Gateway", "num_replicas": 3}]
    declared.deploy(ServeApplicationSchema.model_validate(config))
    assert declared.change(variants("/runs/b")) == ARGS.variants
    assert client.asked().keys() == {"Gateway", "Live"}
    assert client.configs[declared.NAME]["deployments"][0]["num_replicas"] == 3


def test_a_cluster_without_the_application_says_so(client: Client) -> None:
    with pytest.raises(ResourceError, match="no declared application 'semconv'"):
        declared.change(variants("/runs/b"))


def test_after_a_refusal_what_was_there_before_is_asked_for_again(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    declared.deploy(declared.declared(ARGS, ARGS.variants, {}))
    accepts = {"served": variants("/runs/b").as_json(), "refused": None}
    refuses = {"served": ARGS.variants.as_json(), "refused": {"reason": "topk is damaged."}}
    monkeypatch.setattr(swap, "_outcomes", lambda _wanted: [accepts, refuses])
    with pytest.raises(ArtifactError, match="goes on with what it served: topk is damaged"):
        swap.swap(variants("/runs/b"))
    assert client.asked()["Gateway"] == ARGS.variants.as_json()
    monkeypatch.setattr(swap, "_outcomes", lambda _wanted: [accepts, accepts])
    assert swap.swap(variants("/runs/b")) == [accepts, accepts]
    assert client.asked()["Gateway"] == variants("/runs/b").as_json()


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    return Settings(run=RunSettings(root=str(tmp_path), name="shop"), ray=RaySettings())


def test_where_nothing_runs_one_message_says_so(settings: Settings) -> None:
    with pytest.raises(ResourceError, match=r"No service of .*shop runs on this machine"), swap.connected(settings):
        pass


def test_where_a_service_runs_is_kept_for_its_owner_alone_while_it_does(tmp_path: Path) -> None:
    running = Running("http://127.0.0.1:8000", "192.0.2.1:6379", "a token")
    with running.kept(tmp_path):
        assert Running.read(tmp_path) == running
        assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
        assert [file.name for file in tmp_path.iterdir()] == [FILE]
    assert Running.read(tmp_path) is None
    (tmp_path / FILE).write_text("{")
    assert Running.read(tmp_path) is None

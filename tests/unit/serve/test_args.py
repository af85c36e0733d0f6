"""The declarative config and the settings reach the application as the same typed arguments."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError
from ray.serve.schema import ServeDeploySchema

from semconv.config import RaySettings, RunSettings, ServeSettings, Settings
from semconv.config.serve import VariantSettings
from semconv.errors import ArtifactError, ResourceError, SettingError
from serve import ingress
from serve.app import app
from serve.args import Args, Variants, base_url, is_loopback
from serve.last_good import LastGood
from serve.start import free_port, settled

CONFIG: dict[str, Any] = yaml.safe_load((Path(__file__).parents[3] / "serve" / "config.yaml").read_text())


def test_the_config_is_one_that_serve_accepts_on_loopback_and_its_arguments_are_known() -> None:
    config = ServeDeploySchema.model_validate(CONFIG)
    (application,) = config.applications
    module, name = application.import_path.split(":")
    assert getattr(import_module(module), name) is app
    assert config.http_options.host == "127.0.0.1"
    args = Args.model_validate(application.args)
    assert args.serve.replicas == 2
    assert [deployment.name for deployment in application.deployments] == ["Gateway", "Live"]
    for deployment in application.deployments:
        assert Variants.model_validate(deployment.user_config) == args.variants


def test_the_config_sets_the_flags_of_the_ingress_for_every_process_of_serve() -> None:
    config = ServeDeploySchema.model_validate(CONFIG)
    assert config.controller_options.runtime_env == {"env_vars": ingress.DEFAULTS | ingress.HAPROXY}
    everything = ingress.DEFAULTS | ingress.HAPROXY | ingress.FRONT
    assert config.applications[0].runtime_env == {"env_vars": everything}


def test_unknown_arguments_are_refused() -> None:
    with pytest.raises(ValidationError, match="live_dedline_s"):
        app({"run": "/runs/demo", "serve": {"live_dedline_s": 3}})


def test_settings_become_arguments_with_absolute_folders() -> None:
    settings = Settings(run=RunSettings(root="some/runs", name="shop"), ray=RaySettings(threads=3))
    args = Args.of(settings)
    run = Path("some/runs/shop").absolute()
    assert (args.run, args.threads) == (run, 3)
    assert (args.state, args.cache) == (run / ".serve", run / ".serve" / "cache")
    elsewhere = Args(run=run, serve=ServeSettings(state="state", cache="/fast"))
    assert (elsewhere.state, elsewhere.cache) == (Path("state").absolute(), Path("/fast"))


def test_a_run_at_a_uri_is_served_from_its_store_and_keeps_no_events_in_a_cache(tmp_path: Path) -> None:
    placed = RunSettings(root="s3://bucket/runs?region=x", name="shop", mirror=str(tmp_path))
    args = Args.of(Settings(run=placed, serve=ServeSettings(state=str(tmp_path / "state"))))
    (main,) = args.variants.variants
    assert main.snapshot == "s3://bucket/runs/shop/topk?region=x"
    assert Path(main.run).is_relative_to(tmp_path)
    assert args.state == tmp_path / "state"
    with pytest.raises(SettingError, match=r"--serve\.state"):
        _ = Args(run="s3://bucket/runs/shop").state  # type: ignore[arg-type]  # as serve/config.yaml would have it


def test_everybody_whom_no_experiment_claims_is_served_from_the_run() -> None:
    other = VariantSettings(name="other", run="/runs/b", share=0.2)
    args = Args(run=Path("/runs/a"), serve=ServeSettings(snapshot="/snapshots/7", variants=(other,)))
    assert args.variants.variants == (VariantSettings(name="main", run="/runs/a", snapshot="/snapshots/7"), other)
    assert args.variants.shares == {"main": 0.0, "other": 0.2}
    assert Variants.model_validate(args.variants.as_json()) == args.variants


@pytest.mark.parametrize("names", [["other"], ["main", "main"], ["main", "b", "b"], []])
def test_variants_begin_with_the_main_one_and_have_names_of_their_own(names: list[str]) -> None:
    with pytest.raises(ValidationError, match=r"main|at least 1"):
        Variants.model_validate({"variants": [{"name": name, "run": "/runs/a"} for name in names]})


def test_shares_beyond_all_users_are_refused() -> None:
    claims = [{"name": name, "run": "/runs/a", "share": 0.6} for name in ("main", "b", "c")]
    with pytest.raises(SettingError, match=r"1\.2"):
        Variants.model_validate({"variants": claims})


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "shop.example"])
def test_an_address_for_other_machines_needs_keys(host: str, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"serve\.keys is not set"):
        app({"run": str(tmp_path), "serve": {"host": host}})
    Args(run=tmp_path, serve=ServeSettings(host=host, keys="keys.json")).check()


def test_loopback_is_told_from_other_addresses() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "127.8.0.1", "::1", "localhost")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "10.0.0.1", "localhost.example")))
    assert base_url("0.0.0.0", 80) == base_url("127.0.0.1", 80) == "http://127.0.0.1:80"
    assert base_url("::", 80) == "http://[::1]:80"


def test_an_absent_run_is_refused_before_anything_starts_unless_something_was_served_before(tmp_path: Path) -> None:
    args = Args(run=tmp_path / "nothing", serve=ServeSettings(state=str(tmp_path / "state")))
    with pytest.raises(ArtifactError, match=r"topk .* Run the stage that makes it"):
        settled(args)
    LastGood(args.state).write(Variants(variants=(VariantSettings(name="main", run="/runs/a"),)))
    assert settled(args) == args.variants


def test_an_address_of_another_machine_is_refused_in_words() -> None:
    with pytest.raises(ResourceError, match=r"203\.0\.113\.1:0 cannot be listened on"):
        free_port("203.0.113.1", 0)

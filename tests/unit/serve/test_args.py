"""The declarative config and the settings reach the application as the same typed arguments."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError
from ray.serve.schema import ServeDeploySchema

from semconv.config import RaySettings, RunSettings, Settings
from semconv.errors import ArtifactError, ResourceError
from serve.app import app
from serve.args import Args
from serve.start import free_port

CONFIG = Path(__file__).parents[3] / "serve" / "config.yaml"


def test_the_config_is_one_that_serve_accepts_on_loopback_and_its_arguments_are_known() -> None:
    config = ServeDeploySchema.model_validate(yaml.safe_load(CONFIG.read_text()))
    (application,) = config.applications
    module, name = application.import_path.split(":")
    assert getattr(import_module(module), name) is app
    assert config.http_options.host == "127.0.0.1"
    assert Args.model_validate(application.args).serve.live_replicas == 1


def test_unknown_arguments_are_refused() -> None:
    with pytest.raises(ValidationError, match="live_dedline_s"):
        app({"run": "/runs/demo", "serve": {"live_dedline_s": 3}})


def test_settings_become_arguments_with_an_absolute_run() -> None:
    settings = Settings(run=RunSettings(root="some/runs", name="shop"), ray=RaySettings(threads=3))
    args = Args.of(settings)
    assert args.run == Path("some/runs/shop").absolute()
    assert args.folders.artifact("topk") == args.run / "topk"
    assert args.threads == 3


def test_an_absent_run_is_refused_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="topk does not exist"):
        app({"run": str(tmp_path / "nothing")})


def test_an_address_of_another_machine_is_refused_in_words() -> None:
    with pytest.raises(ResourceError, match=r"203\.0\.113\.1:0 cannot be listened on"):
        free_port("203.0.113.1", 0)

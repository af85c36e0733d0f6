"""Stages of a run on an S3-compatible server: skipped, redone, published and fetched as on a disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.stage import Stage, Work, run_stages
from semconv.artifacts import Run
from semconv.artifacts.store_files import StoreFiles
from semconv.config import RunSettings, Settings, TokenizeSettings
from semconv.errors import ArtifactError, SemconvError
from tests.cluster.milling import GROW, MILL, Flour, Grain
from tests.s3 import ENVIRONMENT, new_bucket


@pytest.fixture
def uri(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    return new_bucket(s3_server, "runs")


def settings(uri: str, mirror: Path, levels: int = 4, **run: object) -> Settings:
    placed = {"root": uri, "name": "r", "mirror": str(mirror), **run}
    return Settings(run=RunSettings.model_validate(placed), tokenize=TokenizeSettings(levels=levels))


def flour(uri: str, mirror: Path) -> str:
    return (Flour.open(Run(uri, "r", str(mirror)).artifact("flour")).path / "content").read_text()


def test_another_machine_skips_what_is_up_to_date_and_redoes_what_changed(
    uri: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    run_stages(settings(uri, here), [GROW, MILL])
    capsys.readouterr()
    run_stages(settings(uri, there), [GROW, MILL])
    assert capsys.readouterr().err.count("up to date") == 2
    assert not there.exists()
    run_stages(settings(uri, there, levels=3), [GROW, MILL])
    assert flour(uri, here) == flour(uri, there) == "3 ground"


def test_a_stage_that_ended_in_its_upload_is_published_and_not_done_again(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_stages(settings(uri, tmp_path), [GROW])

    def fail(files: StoreFiles, source: Path, name: str) -> str:
        raise ArtifactError("the network is gone", "Wait")

    with monkeypatch.context() as patch, pytest.raises(SemconvError, match="the network is gone"):
        patch.setattr(StoreFiles, "put", fail)
        run_stages(settings(uri, tmp_path, levels=3), [GROW])

    def never(work: Work) -> None:
        raise AssertionError("it is done")

    elsewhere = Run(uri, "r", str(tmp_path / "elsewhere"))
    assert (Grain.open(elsewhere.artifact("grain")).path / "content").read_text() == "4"
    run_stages(settings(uri, tmp_path, levels=3), [Stage("grow", ("grain",), (), ("tokenize",), 1, never)])
    assert (Grain.open(elsewhere.artifact("grain")).path / "content").read_text() == "3"
    assert "grain published to s3://" in capsys.readouterr().err


def test_a_missing_input_is_named_by_its_uri(uri: str, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"s3://bucket-\w+/runs/r/grain is not published"):
        run_stages(settings(uri, tmp_path), [MILL])

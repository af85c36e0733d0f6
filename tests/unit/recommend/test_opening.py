from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from small_run import make_run

from semconv.artifacts import Manifest, Run
from semconv.artifacts.artifact import finish
from semconv.errors import ArtifactError
from semconv.recommend.load import open_generative


@pytest.fixture
def two_runs(tmp_path: Path) -> tuple[Run, Run]:
    return make_run(tmp_path, 1), make_run(tmp_path, 2)


@pytest.mark.parametrize("kind", ["corpus", "vectors", "behaviour", "tokens", "model"])
def test_an_artifact_of_another_run_is_refused_by_name(two_runs: tuple[Run, Run], kind: str) -> None:
    mine, other = two_runs
    shutil.rmtree(mine.artifact(kind))
    shutil.copytree(other.artifact(kind), mine.artifact(kind))
    with pytest.raises(ArtifactError, match="were made from different") as caught:
        open_generative(mine, 5)
    assert str(mine.artifact(kind)) in caught.value.problem


@pytest.mark.parametrize("kind", ["corpus", "vectors", "behaviour", "tokens", "model"])
def test_a_missing_artifact_is_named(small_run: Run, tmp_path: Path, kind: str) -> None:
    shutil.copytree(small_run.path, tmp_path / "run")
    run = Run(str(tmp_path), "run")
    shutil.rmtree(run.artifact(kind))
    with pytest.raises(ArtifactError, match="does not exist"):
        open_generative(run, 5)


def test_a_spelling_nobody_knows_is_refused(small_run: Run, tmp_path: Path) -> None:
    shutil.copytree(small_run.path, tmp_path / "run")
    run = Run(str(tmp_path), "run")
    folder = run.artifact("model")
    described = json.loads((folder / "semconv.json").read_text()) | {"spelling": "runes"}
    (folder / "semconv.json").write_text(json.dumps(described))
    manifest = Manifest.read(folder)
    (folder / "manifest.json").unlink()
    made = finish(folder, "model", settings={}, inputs={}, counts={}, request="r", seconds=0.0)
    assert made.fingerprint != manifest.fingerprint
    with pytest.raises(ArtifactError, match="unknown spelling 'runes'"):
        open_generative(run, 5)

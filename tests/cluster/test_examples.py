"""The examples stage on Ray Data: the same shards however many processes write them, and a model trained on them."""

from __future__ import annotations

from pathlib import Path

import pytest

import pipelines.align
import pipelines.examples
from pipelines.stage import run_stages
from semconv.artifacts import AlignmentExamples, Recommender, Run, examples
from semconv.config import AlignSettings, RaySettings, RunSettings, Settings
from semconv.errors import ArtifactError, SettingError
from semconv.training.align import Inputs, alignment
from semconv.training.probes import PROBES
from tests.unit.alignment.full_shop import align, builder_of, write_full_shop


@pytest.fixture
def inputs(tmp_path: Path) -> Inputs:
    return write_full_shop(tmp_path / "r")


def _settings(root: Path, chosen: AlignSettings) -> Settings:
    return Settings(run=RunSettings(root=str(root), name="r", seed=5), ray=RaySettings(threads=1), align=chosen)


def _stored(root: Path) -> AlignmentExamples:
    return AlignmentExamples.open(Run(str(root), "r").artifact("examples"))


@pytest.mark.parametrize(("spelling", "counts"), [("compact", (2,)), ("tokens", (1, 2))])
def test_shards_are_what_the_builder_makes_on_one_worker_or_two(
    inputs: Inputs, tmp_path: Path, spelling: str, counts: tuple[int, ...]
) -> None:
    fingerprints = set()
    for workers in counts:
        settings = _settings(tmp_path, align(spelling, example_workers=workers))
        forced = settings.model_copy(update={"run": settings.run.model_copy(update={"force": True})})
        run_stages(forced, [pipelines.examples.STAGE])
        fingerprints.add(_stored(tmp_path).fingerprint)
    assert len(fingerprints) == 1
    stored, builder = _stored(tmp_path), builder_of(inputs, align(spelling))
    assert stored.sizes == builder.sizes == {name: stored.manifest.counts[name] for name in builder.sizes}
    for family, size in builder.sizes.items():
        for number in range(0, size, 7):
            found, made = stored.row(family, number), builder.row(family, number)
            assert [found.words.tolist(), found.items.tolist(), found.answer] == [
                made.words.tolist(),
                made.items.tolist(),
                made.answer,
            ]


def test_align_trains_on_them_and_prints_its_probes(
    inputs: Inputs, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    settings = _settings(tmp_path, align("compact", epochs=1, validate_every=1))
    run_stages(settings, pipelines.align.STAGES)
    said = capfd.readouterr().err
    assert "a compact model answers with items alone: no negative and no preference tasks" in said
    assert "title_to_item" in said
    model = Recommender.open(Run(str(tmp_path), "r").artifact("model"))
    assert (model.path / PROBES).exists()
    assert model.manifest.lineage["examples"] == _stored(tmp_path).fingerprint
    run_stages(settings, pipelines.align.STAGES)
    assert capfd.readouterr().err.count("up to date") == 2


def test_examples_of_other_settings_are_not_trained_on(inputs: Inputs, tmp_path: Path) -> None:
    run_stages(_settings(tmp_path, align("compact")), [pipelines.examples.STAGE])
    given = Inputs(inputs.corpus, inputs.vectors, inputs.tokens, inputs.base, _stored(tmp_path))
    alignment(given, align("compact", learning_rate=0.5), seed=5)
    with pytest.raises(ArtifactError, match="made with spelling compact and tokens is asked for"):
        alignment(given, align("tokens"), seed=5)


def test_bad_templates_are_one_clear_error_and_nothing_is_written(inputs: Inputs, tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text('history = "So far: {history}"\nitem_to_title = "No place for it: {item}"\n')
    tasks = {"templates": str(file)}
    with pytest.raises(SettingError, match=r"own\.toml has no templates for the task title_to_item"):
        run_stages(_settings(tmp_path, align("tokens", tasks=tasks)), [pipelines.examples.STAGE])
    assert not Run(str(tmp_path), "r").artifact("examples").exists()


def test_several_shards_come_together(inputs: Inputs, tmp_path: Path) -> None:
    settings = align("compact", tasks={"textual": 90.0}, example_workers=2)
    run_stages(_settings(tmp_path, settings), [pipelines.examples.STAGE])
    stored = _stored(tmp_path)
    assert stored.sizes["textual"] == 90 * 60 * 8 > examples.SHARD
    last = stored.row("textual", stored.sizes["textual"] - 1)
    assert last.items.tolist() == builder_of(inputs, settings).row("textual", 43199).items.tolist()

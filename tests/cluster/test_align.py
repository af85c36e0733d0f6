"""align on Ray Train with DeepSpeed: two workers, checkpoints by all ranks, going on after a kill."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import pipelines.align
from pipelines.stage import run_stages
from pipelines.train import REFUSED
from semconv.artifacts import Recommender, Run
from semconv.config import AlignSettings, RaySettings, RunSettings, Settings
from semconv.errors import ResourceError
from tests.cluster.dying import build_with_a_kill
from tests.unit.training.tiny_inputs import tiny_align, write_inputs


@pytest.fixture
def run(tmp_path: Path) -> Run:
    write_inputs(tmp_path / "r")
    return Run(str(tmp_path), "r")


def _settings(run: Run, align: AlignSettings) -> Settings:
    return Settings(
        run=RunSettings(root=str(run.path.parent), name=run.path.name), ray=RaySettings(threads=1), align=align
    )


def _align(**changed: object) -> AlignSettings:
    return tiny_align(**({"engine": "deepspeed", "precision": "bf16", "zero_stage": 2, "workers": 2} | changed))


def _curves(run: Run) -> list[dict[str, float]]:
    curves: list[dict[str, float]] = json.loads((run.artifact("model") / "curves.json").read_text())
    return curves


def test_two_workers_under_zero_2_make_a_model_that_loads(run: Run) -> None:
    run_stages(_settings(run, _align()), [pipelines.align.STAGE])
    recommender = Recommender.open(run.artifact("model"))
    assert recommender.spelling == "compact"
    assert [point["epoch"] for point in _curves(run)] == [1, 2, 3, 4]
    assert not run.private("align").exists()


def test_more_workers_than_cpus_are_refused_at_once(run: Run) -> None:
    with pytest.raises(ResourceError, match=r"align\.workers is 9 and the cluster has 4 CPUs"):
        run_stages(_settings(run, _align(workers=9)), [pipelines.align.STAGE])


def test_what_the_loop_refuses_is_raised_as_it_was_and_not_tried_again(run: Run) -> None:
    align = _align(workers=1, engine="plain", precision="float32", learning_rate=1e30, max_failures=2)
    with pytest.raises(ResourceError, match="loss stopped being a number") as caught:
        run_stages(_settings(run, align), [pipelines.align.STAGE])
    assert caught.value.remedy.startswith("Lower the learning rate")
    assert len(list((run.private("align") / REFUSED).iterdir())) == 1
    assert not run.artifact("model").exists()


def _went_on(log: Path) -> bool:
    """No step was done again."""
    return [int(line) for line in log.read_text().split()] == [3, 6, 9, 10]


def test_a_killed_worker_goes_on_from_the_last_checkpoint_to_the_same_weights(run: Run, tmp_path: Path) -> None:
    align = _align(epochs=2, validate_every=2, precision="float32")
    run_stages(_settings(run, align), [pipelines.align.STAGE])
    whole, curves = load_file(run.artifact("model") / "model.safetensors"), _curves(run)
    log = tmp_path / "log"
    dying = replace(pipelines.align.STAGE, build=partial(build_with_a_kill, log=log, at=6, max_failures=1))
    forced = _settings(run, align).model_copy(update={"run": RunSettings(root=str(tmp_path), name="r", force=True)})
    run_stages(forced, [dying])
    assert _went_on(log)
    resumed = load_file(run.artifact("model") / "model.safetensors")
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    assert _curves(run) == curves


def test_a_job_that_died_and_is_started_again_goes_on_from_its_checkpoint(run: Run, tmp_path: Path) -> None:
    align = _align(epochs=2, validate_every=2)
    log = tmp_path / "log"
    dying = replace(pipelines.align.STAGE, build=partial(build_with_a_kill, log=log, at=6, max_failures=0))
    with pytest.raises(ResourceError, match="worker process died"):
        run_stages(_settings(run, align), [dying])
    assert not run.artifact("model").exists()
    run_stages(_settings(run, align), [dying])
    assert _went_on(log)
    assert Recommender.open(run.artifact("model")).spelling == "compact"

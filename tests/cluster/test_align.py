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
import pipelines.examples
from pipelines.stage import Stage, run_stages
from pipelines.train import REFUSED
from semconv.artifacts import Recommender, Run
from semconv.config import AlignSettings, RaySettings, RunSettings, Settings
from semconv.errors import ResourceError, SettingError
from semconv.training.record import redone_steps
from tests.cluster.dying import build_with_a_kill
from tests.unit.training.tiny_inputs import LEVELS, ring_walks, tiny_align, write_inputs


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


def test_two_workers_under_zero_2_make_a_model_that_loads(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    other = run.private("align") / "align-0123456789abcdef-2"
    other.mkdir(parents=True)
    (other / "checkpoint_manager_snapshot.json").write_text('{"checkpoint_results": ["checkpoint_1"]}')
    run_stages(_settings(run, _align()), pipelines.align.STAGES)
    assert "an interrupted training with other settings or inputs is thrown away" in capsys.readouterr().err
    recommender = Recommender.open(run.artifact("model"))
    assert recommender.spelling == "compact"
    assert [point["epoch"] for point in _curves(run)] == [1, 2, 3, 4]
    assert not run.private("align").exists()
    assert list((run.path / "logs" / "align").glob("events.out.tfevents.*"))


def test_more_workers_than_cpus_are_refused_at_once(run: Run) -> None:
    with pytest.raises(ResourceError, match=r"align\.workers is 9 and the cluster has 4 CPUs"):
        run_stages(_settings(run, _align(workers=9)), pipelines.align.STAGES)


@pytest.mark.parametrize(
    "changed",
    [{"workers": 1, "engine": "plain", "precision": "float32"}, {"workers": 2}],
    ids=["plain", "two workers in bf16"],
)
def test_what_the_loop_refuses_is_raised_as_it_was_and_not_tried_again(run: Run, changed: dict[str, object]) -> None:
    align = _align(learning_rate=1e30, max_failures=2, **changed)
    with pytest.raises(ResourceError, match=r"(loss|gradient) stopped being a number") as caught:
        run_stages(_settings(run, align), pipelines.align.STAGES)
    assert caught.value.remedy.startswith("Lower the learning rate")
    assert 1 <= len(list((run.private("align") / REFUSED).iterdir())) <= align.workers
    assert not run.artifact("model").exists()


KEPT, DIES, STEPS = 6, 9, 10
TRAINED = [len(walk) - 2 for walk in ring_walks()]
TARGETS = {"compact": sum(TRAINED), "tokens": LEVELS * sum(items - 1 for items in TRAINED)}


def _dying(log: Path, max_failures: int) -> list[Stage]:
    build = partial(build_with_a_kill, log=log, kept=KEPT, dies=DIES, max_failures=max_failures)
    return [pipelines.examples.STAGE, replace(pipelines.align.STAGE, build=build)]


def _short(**changed: object) -> AlignSettings:
    """Two epochs of five steps, of every target once."""
    return _align(**({"epochs": 2, "batch_size": 12, "tasks": {"textual": 0.0}} | changed))


def _require_resumed(run: Run, log: Path, align: AlignSettings) -> None:
    """Nothing before the checkpoint was done again, what came after it was and is told apart, and no target twice."""
    assert [int(line) for line in log.read_text().split()] == [3, 6, 9, STEPS]
    assert redone_steps(run.path / "logs" / "align") == DIES - KEPT
    assert [point["targets"] for point in _curves(run)] == 2 * [TARGETS[align.spelling]]


@pytest.mark.parametrize("changed", [{}, {"spelling": "tokens", "method": "lora", "zero_stage": 3}])
def test_resume_a_killed_worker_from_the_last_checkpoint_to_the_same_weights(
    run: Run, tmp_path: Path, changed: dict[str, object]
) -> None:
    align = _short(precision="float32", **changed)
    run_stages(_settings(run, align), pipelines.align.STAGES)
    whole, curves = load_file(run.artifact("model") / "model.safetensors"), _curves(run)
    log = tmp_path / "log"
    forced = _settings(run, align).model_copy(update={"run": RunSettings(root=str(tmp_path), name="r", force=True)})
    run_stages(forced, _dying(log, max_failures=1))
    _require_resumed(run, log, align)
    resumed = load_file(run.artifact("model") / "model.safetensors")
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    assert _curves(run) == curves


def test_resume_a_job_that_died_on_the_workers_it_had_and_no_others(run: Run, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with pytest.raises(ResourceError, match="worker process died"):
        run_stages(_settings(run, _short()), _dying(log, max_failures=0))
    assert not run.artifact("model").exists()
    with pytest.raises(SettingError, match=r"interrupted on 2 workers and align\.workers is 1") as caught:
        run_stages(_settings(run, _short(workers=1)), pipelines.align.STAGES)
    assert caught.value.remedy.startswith("Set --align.workers 2 to go on from it, or --run.force")
    run_stages(_settings(run, _short()), _dying(log, max_failures=0))
    _require_resumed(run, log, _short())
    assert Recommender.open(run.artifact("model")).spelling == "compact"


def test_two_workers_follow_the_loss_of_one_for_200_steps(run: Run) -> None:
    curves = []
    for workers in (1, 2):
        align = _align(
            workers=workers,
            precision="float32",
            zero_stage=1,
            epochs=40,
            batch_size=12,
            validate_every=40,
            dropout=0.0,
            learning_rate=1e-3,
            checkpoint_every=1000,
        )
        settings = _settings(run, align)
        settings = settings.model_copy(update={"run": settings.run.model_copy(update={"force": True})})
        run_stages(settings, pipelines.align.STAGES)
        curves.append(_curves(run))
    one, two = curves
    assert one[-1]["step"] >= 200
    assert one[-1]["loss"] < 0.5 * one[0]["loss"]
    assert [point["loss"] for point in two] == pytest.approx([point["loss"] for point in one], abs=1e-3)
    assert [point["targets"] for point in two] == [point["targets"] for point in one]

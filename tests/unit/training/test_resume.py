"""Interrupted anywhere and resumed, a training ends with the same weights and has seen every target once."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from semconv.alignment.batches import Portion
from semconv.errors import ArtifactError, ResourceError
from semconv.training.engine import Engine
from semconv.training.job import Job, make_engine, run_job
from semconv.training.loop import Trained, train
from semconv.training.plain import PlainEngine
from semconv.training.record import POINTS, Record, redone_steps
from semconv.training.state import Progress, write_state
from tests.unit.training.tiny_job import COUNT, Texts, portions, same, tiny_job

EPOCHS = 3
TARGETS = sum(len(row) - 1 for row in Texts().rows)


@pytest.fixture(scope="module")
def undisturbed() -> Trained:
    job = tiny_job()
    return run_job(job, make_engine(job))


def _keep(root: Path) -> Callable[[Callable[[Path], None], int], None]:
    def checkpoint(write: Callable[[Path], None], step: int) -> None:
        folder = root / f"{step:04}"
        folder.mkdir()
        write(folder)

    return checkpoint


def _until(job: Job, stop: int, root: Path) -> None:
    """Train until step ``stop`` (from 0) should begin, which fails; keep checkpoints and a record in ``root``."""
    batches = job.batches(0, 1)

    def failing(epoch: int, step: int) -> Portion:
        if epoch * batches.steps + step == stop:
            raise KeyboardInterrupt
        return batches(epoch, step)

    engine: Engine = make_engine(job)
    with Record(root / "log", "none", "tiny") as record, pytest.raises(KeyboardInterrupt):
        train(engine, failing, job.plan(batches.steps), checkpoint=_keep(root), watch=record)


@pytest.mark.parametrize("stop", [1, 3, 4, 5, 8, 10, 11])
def test_interrupted_at_any_step(tmp_path: Path, undisturbed: Trained, stop: int) -> None:
    job = tiny_job()
    _until(job, stop, tmp_path)
    kept = sorted(tmp_path.glob("0*"))
    assert len(kept) == stop // 3
    with Record(tmp_path / "log", "none", "tiny") as record:
        resumed = run_job(job, make_engine(job), resume=kept[-1] if kept else None, watch=record)
    assert same(resumed.weights, undisturbed.weights)
    assert resumed.curves == undisturbed.curves
    assert redone_steps(tmp_path / "log") == stop % 3


def test_every_epoch_of_the_lineage_goes_through_every_target_once(undisturbed: Trained) -> None:
    assert [point["targets"] for point in undisturbed.curves] == [TARGETS] * EPOCHS
    assert [point["examples"] for point in undisturbed.curves] == [COUNT] * EPOCHS
    assert [point["tokens"] for point in undisturbed.curves] == [TARGETS + COUNT] * EPOCHS


def test_an_epoch_that_left_something_out_is_an_error() -> None:
    job = tiny_job()
    batches = job.batches(0, 1)

    def first_again(epoch: int, step: int) -> Portion:
        return batches(epoch, 0)

    with pytest.raises(RuntimeError, match="Epoch 1 went through 20 of 23 examples"):
        train(make_engine(job), first_again, job.plan(batches.steps), examples=len(batches))


def test_targets_that_no_rank_had_are_an_error() -> None:
    job = tiny_job()

    def lost(epoch: int, step: int) -> Portion:
        portion = portions()(epoch, step)
        return replace(portion, all_targets=portion.all_targets + 1)

    with pytest.raises(RuntimeError, match="targets were due"):
        train(make_engine(job), lost, job.plan(4))


def test_a_checkpoint_of_more_workers_is_refused_in_plain_words(tmp_path: Path) -> None:
    job = tiny_job()
    made_by = make_engine(job)
    made_by.world = 2
    write_state(tmp_path, Progress(step=3), {}, made_by)
    with pytest.raises(ArtifactError, match="lies in 2 parts, one for each worker, and is opened by 1") as caught:
        run_job(job, make_engine(job), resume=tmp_path)
    assert caught.value.remedy == "Go on with 2 workers, or start afresh"


def test_a_checkpoint_of_another_precision_is_refused_in_plain_words(tmp_path: Path) -> None:
    job = tiny_job()
    write_state(tmp_path, Progress(step=3), {}, PlainEngine(job.build(), precision="bf16"))
    with pytest.raises(ArtifactError, match="by a training in bf16, and these workers compute in float32"):
        run_job(job, make_engine(job), resume=tmp_path)


def test_a_loss_or_gradient_that_is_no_number_ends_training_before_anything_is_kept(tmp_path: Path) -> None:
    job = tiny_job()
    batches = job.batches(0, 1)

    def broken(epoch: int, step: int) -> Portion:
        portion = batches(epoch, step)
        return replace(portion, parts=[replace(portion.parts[0], scale=float("nan"))]) if step == 1 else portion

    with pytest.raises(ResourceError, match="loss stopped being a number within the 3 steps before step 3"):
        train(make_engine(job), broken, job.plan(batches.steps), checkpoint=_keep(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_points_are_written_with_speeds_and_shares(tmp_path: Path) -> None:
    job = tiny_job(epochs=1)
    with Record(tmp_path, "none", "tiny") as record:
        run_job(job, make_engine(job), watch=record)
    points = [json.loads(line) for line in (tmp_path / POINTS).read_text().splitlines()]
    assert [point["step"] for point in points] == [3, 4]
    for point in points:
        assert 0 <= point["padding"] < 0.5
        assert 0 <= point["waiting"] <= 1
        assert point["tokens_per_s"] > point["targets_per_s"] > 0
        assert point["peak_memory"] > 2**20
        assert point["grad_norm"] > 0

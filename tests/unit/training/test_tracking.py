"""Curves reach TensorBoard's files, points that are done again once only; what is not installed is said at once."""

from __future__ import annotations

import importlib.util
import resource
from collections.abc import Mapping
from pathlib import Path

import pytest
from tensorboardX.proto import event_pb2

from semconv.errors import SettingError
from semconv.training import record
from semconv.training.job import make_engine, run_job
from semconv.training.record import POINTS, Record, warnings_of
from semconv.training.tracking import require_tracking
from tests.unit.training.tiny_job import same, tiny_job


def _events(folder: Path) -> list[event_pb2.Event]:
    """Events of all files, in the order they were written; a record is its length, a checksum, data, a checksum."""
    events = []
    for file in sorted(folder.glob("events.out.tfevents.*")):
        data, place = file.read_bytes(), 0
        while place < len(data):
            length = int.from_bytes(data[place : place + 8], "little")
            if place + length + 16 > len(data):
                break
            events.append(event_pb2.Event.FromString(data[place + 12 : place + 12 + length]))
            place += length + 16
    return events


def test_points_are_in_the_event_files(tmp_path: Path) -> None:
    with Record(tmp_path, "tensorboard", "tiny") as kept:
        kept.resumed(0)
        kept.began(1)
        kept.point(20, {"loss": 0.5, "recall@10": 0.25})
    found = {value.tag: value.simple_value for event in _events(tmp_path) for value in event.summary.value}
    assert found == {"loss": 0.5, "recall_10": 0.25}


def test_points_after_a_restart_hide_those_that_are_done_again(tmp_path: Path) -> None:
    for step in (0, 20):
        with Record(tmp_path, "tensorboard", "tiny") as kept:
            kept.resumed(step)
            kept.point(step + 20, {"loss": 0.5})
    starts = [event.step for event in _events(tmp_path) if event.session_log.status == event_pb2.SessionLog.START]
    assert starts == [21]
    assert len(list(tmp_path.glob("events.out.tfevents.*"))) == 2


class Unreachable:
    """A tracker that fails at one of the things it is asked for, and keeps what those were."""

    def __init__(self, fails: str, asked: list[str]) -> None:
        self.fails, self.asked = fails, asked
        self._meet("open")

    def add(self, step: int, values: Mapping[str, float]) -> None:
        self._meet("add")

    def close(self, *, whole: bool = True) -> None:
        self._meet("close")

    def _meet(self, what: str) -> None:
        self.asked.append(what)
        if what == self.fails:
            raise ConnectionError("no answer from http://tracker:5000\nretried 7 times")


@pytest.mark.parametrize("fails", ["open", "add", "close"])
def test_a_tracker_that_fails_ends_no_training(fails: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(record, "open_curves", lambda *_: Unreachable(fails, asked))
    job = tiny_job(epochs=2)
    with pytest.warns(UserWarning, match="ConnectionError: no answer") as told, Record(tmp_path, "none", "t") as kept:
        trained = run_job(job, make_engine(job), watch=kept)
    assert same(trained.weights, run_job(job, make_engine(job)).weights)
    assert len(told) == 1
    (said,) = warnings_of(tmp_path)
    assert "training goes on" in said
    assert "retried" not in said
    points = sum("loss" in line for line in (tmp_path / POINTS).read_text().splitlines())
    assert points > 1
    assert asked == {"open": ["open"], "add": ["open", "add"], "close": ["open", *["add"] * points, "close"]}[fails]


def test_a_full_disk_ends_curves_and_no_training(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="training goes on") as told:
        _train_on_a_small_disk(tmp_path, steps=100)
    assert ["tensorboard" in str(warning.message) for warning in told] == [True, False]
    assert 10 < len(_events(tmp_path)) < 100
    (said,) = warnings_of(tmp_path)
    assert "OSError" in said


def _train_on_a_small_disk(folder: Path, steps: int) -> None:
    """No file may grow beyond 2 KiB, which the events reach first and the points after them."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Record(folder, "tensorboard", "tiny") as kept:
        kept.resumed(0)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2048, limits[1]))
        try:
            for step in range(1, steps + 1):
                kept.began(step)
                kept.point(step, {"loss": 0.5})
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.skipif(importlib.util.find_spec("mlflow") is None, reason="mlflow is not installed")
def test_an_interrupted_training_is_one_run_of_mlflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow.tracking import MlflowClient

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)

    def found() -> tuple[str, list[tuple[int, float]]]:
        client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}")
        (run,) = client.search_runs([client.get_experiment_by_name("semconv").experiment_id])
        return run.info.status, [(at.step, at.value) for at in client.get_metric_history(run.info.run_id, "loss")]

    with pytest.raises(RuntimeError, match="the power went"), Record(tmp_path, "mlflow", "tiny") as kept:
        kept.resumed(0)
        kept.point(10, {"loss": 0.5, "recall@10": 0.1})
        raise RuntimeError("the power went")
    assert found() == ("FAILED", [(10, 0.5)])
    with Record(tmp_path, "mlflow", "tiny") as kept:
        kept.resumed(10)
        assert found() == ("RUNNING", [(10, 0.5)])
        kept.point(20, {"loss": 0.25})
    assert found() == ("FINISHED", [(10, 0.5), (20, 0.25)])
    assert warnings_of(tmp_path) == []


@pytest.mark.skipif(importlib.util.find_spec("mlflow") is not None, reason="mlflow is installed")
def test_a_tracker_that_is_not_installed_is_a_setting_to_change() -> None:
    with pytest.raises(SettingError, match=r"align\.tracking is mlflow and the package mlflow is not installed"):
        require_tracking("mlflow")
    require_tracking("none")

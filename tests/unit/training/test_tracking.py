"""Curves reach TensorBoard's files, points that are done again once only; what is not installed is said at once."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from tensorboardX.proto import event_pb2

from semconv.errors import SettingError
from semconv.training.record import Record
from semconv.training.tracking import require_tracking


def _events(folder: Path) -> list[event_pb2.Event]:
    """Events of all files, in the order they were written; a record is its length, a checksum, data, a checksum."""
    events = []
    for file in sorted(folder.glob("events.out.tfevents.*")):
        data, place = file.read_bytes(), 0
        while place < len(data):
            length = int.from_bytes(data[place : place + 8], "little")
            events.append(event_pb2.Event.FromString(data[place + 12 : place + 12 + length]))
            place += length + 16
    return events


def test_points_are_in_the_event_files(tmp_path: Path) -> None:
    with Record(tmp_path, "tensorboard", "tiny") as record:
        record.resumed(0)
        record.began(1)
        record.point(20, {"loss": 0.5, "recall@10": 0.25})
    found = {value.tag: value.simple_value for event in _events(tmp_path) for value in event.summary.value}
    assert found == {"loss": 0.5, "recall_10": 0.25}


@pytest.mark.skipif(importlib.util.find_spec("mlflow") is not None, reason="mlflow is installed")
def test_a_tracker_that_is_not_installed_is_a_setting_to_change() -> None:
    with pytest.raises(SettingError, match=r"align\.tracking is mlflow and the package mlflow is not installed"):
        require_tracking("mlflow")
    require_tracking("none")

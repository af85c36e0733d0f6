"""Where training curves go besides the model: TensorBoard or MLflow, each imported only when it is chosen.

A tracker is for people who look on. What goes wrong with it ends the curves, never the training.
"""

from __future__ import annotations

import importlib.util
import os
import socket
import struct
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, Protocol

from semconv.errors import SettingError

Tracking = Literal["tensorboard", "mlflow", "none"]
_PACKAGES = {"tensorboard": "tensorboardX", "mlflow": "mlflow"}
_WHERE = {"tensorboard": "tensorboardX", "mlflow": "semconv with its extra mlflow"}
_RUN_ID = "mlflow_run"


class Curves(Protocol):
    """Takes points of curves."""

    def add(self, step: int, values: Mapping[str, float]) -> None:
        """Values after ``step`` steps."""
        ...

    def close(self, *, whole: bool = True) -> None:
        """Write what was not written yet; ``whole``: whether training came to its end."""
        ...


def require_tracking(tracking: Tracking) -> None:
    """Raise `SettingError` where the package that would take the curves is not installed."""
    package = _PACKAGES.get(tracking)
    if package is not None and importlib.util.find_spec(package) is None:
        raise SettingError(
            f"align.tracking is {tracking} and the package {package} is not installed",
            f"Install {_WHERE[tracking]}, or set align.tracking to another",
        )


def open_curves(tracking: Tracking, folder: Path, name: str, step: int) -> Curves | None:
    """Curves that go on after ``step`` steps, kept in ``folder`` (MLflow: where MLFLOW_TRACKING_URI says, if it does).

    Raises whatever keeps the tracker from being opened.
    """
    if tracking == "tensorboard":
        return TensorBoard(folder, step)
    return Mlflow(folder, name) if tracking == "mlflow" else None


class Tolerant:
    """`Curves` that end at the first error of what they go to."""

    def __init__(self, open_them: Callable[[], Curves | None], tell: Callable[[str], None]) -> None:
        """``open_them`` makes the curves, if any; ``tell`` is called once at most, with the error in a line."""
        self._tell = tell
        self._curves: Curves | None = None
        self._try(lambda: setattr(self, "_curves", open_them()))

    def add(self, step: int, values: Mapping[str, float]) -> None:
        """See `Curves`."""
        curves = self._curves
        if curves is not None and not self._try(lambda: curves.add(step, values)):
            self._curves = None

    def close(self, *, whole: bool = True) -> None:
        """See `Curves`."""
        curves, self._curves = self._curves, None
        if curves is not None:
            self._try(lambda: curves.close(whole=whole))

    def _try(self, use: Callable[[], None]) -> bool:
        """Whether it went well."""
        try:
            use()
        except Exception as error:  # each tracker has errors of its own
            self._tell(f"{type(error).__name__}: {(str(error).splitlines() or ['no reason given'])[0]}")
            return False
        return True


class TensorBoard:
    """Event files for ``tensorboard --logdir``; points of steps that are done again are purged.

    Written by whoever adds a point: tensorboardX's own writer does so in a thread, and once that has died of a full
    disk it keeps its callers waiting for ever. A file holds records: length, checksum, data, checksum.
    """

    def __init__(self, folder: Path, step: int) -> None:
        from tensorboardX import summary
        from tensorboardX.proto.event_pb2 import Event, SessionLog
        from tensorboardX.record_writer import masked_crc32c

        self._event, self._scalar, self._checksum = Event, summary.scalar, masked_crc32c
        self._file = (folder / f"events.out.tfevents.{time.time():.0f}.{socket.gethostname()}.{step}").open("ab")
        self._write(file_version="brain.Event:2")
        if step:
            self._write(step=step + 1, session_log=SessionLog(status=SessionLog.START))

    def add(self, step: int, values: Mapping[str, float]) -> None:
        """See `Curves`."""
        points = [point for name, value in values.items() for point in self._scalar(name, value).value]
        self._write(step=step, summary={"value": points})

    def close(self, *, whole: bool = True) -> None:  # noqa: ARG002  a file of events does not tell
        """See `Curves`."""
        self._file.close()

    def _write(self, **content: Any) -> None:
        data = self._event(wall_time=time.time(), **content).SerializeToString()
        length = struct.pack("<Q", len(data))
        checksums = [struct.pack("<I", self._checksum(part)) for part in (length, data)]
        try:
            self._file.write(length + checksums[0] + data + checksums[1])
            self._file.flush()
        except OSError:
            with suppress(OSError):  # closing would write the rest
                self._file.close()
            raise


class Mlflow:
    """One MLflow run for a training, whatever the number of times it was interrupted."""

    def __init__(self, folder: Path, name: str) -> None:
        from mlflow.tracking import MlflowClient

        uri = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{folder.absolute() / 'mlflow.db'}"
        self._client: Any = MlflowClient(tracking_uri=uri)
        known = folder / _RUN_ID
        if not known.exists():
            experiment = self._client.get_experiment_by_name("semconv")
            number = self._client.create_experiment("semconv") if experiment is None else experiment.experiment_id
            known.write_text(self._client.create_run(number, run_name=name).info.run_id)
        self._run = known.read_text()
        self._client.update_run(self._run, status="RUNNING")

    def add(self, step: int, values: Mapping[str, float]) -> None:
        """See `Curves`."""
        from mlflow.entities import Metric

        now = round(1000 * time.time())
        metrics = [Metric(name.replace("@", "_at_"), value, now, step) for name, value in values.items()]
        self._client.log_batch(self._run, metrics)

    def close(self, *, whole: bool = True) -> None:
        """See `Curves`."""
        self._client.set_terminated(self._run, status="FINISHED" if whole else "FAILED")

"""Where training curves go besides the model: TensorBoard or MLflow, each imported only when it is chosen."""

from __future__ import annotations

import importlib.util
import os
import time
from collections.abc import Mapping
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

    def close(self) -> None:
        """Write what was not written yet."""
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

    Raises `SettingError` as `require_tracking` does.
    """
    require_tracking(tracking)
    if tracking == "tensorboard":
        return TensorBoard(folder, step)
    return Mlflow(folder, name) if tracking == "mlflow" else None


class TensorBoard:
    """Event files for ``tensorboard --logdir``; points of steps that are done again are purged."""

    def __init__(self, folder: Path, step: int) -> None:
        from tensorboardX import SummaryWriter

        self._writer = SummaryWriter(str(folder), purge_step=step + 1 if step else None, flush_secs=10)

    def add(self, step: int, values: Mapping[str, float]) -> None:
        """See `Curves`."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        """See `Curves`."""
        self._writer.close()


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

    def add(self, step: int, values: Mapping[str, float]) -> None:
        """See `Curves`."""
        from mlflow.entities import Metric

        now = round(1000 * time.time())
        metrics = [Metric(name.replace("@", "_at_"), value, now, step) for name, value in values.items()]
        self._client.log_batch(self._run, metrics)

    def close(self) -> None:
        """See `Curves`."""
        self._client.set_terminated(self._run)

"""Run: the folder that holds one artifact of each kind, made from one another."""

from __future__ import annotations

from pathlib import Path

from semconv.errors import SettingError


class Run:
    """``<run.root>/<run.name>``; knows where each artifact of a run lies, opens none."""

    def __init__(self, root: str, name: str) -> None:
        if "://" in root:
            raise SettingError(
                f"run.root is {root}, and runs on an object store are not supported yet",
                "Give an absolute path that every node of the cluster can reach",
            )
        self.path = Path(root) / name

    def artifact(self, kind: str) -> Path:
        """Folder of the artifact of this kind."""
        return self.path / kind

    def private(self, name: str) -> Path:
        """A folder for what a stage keeps for itself (checkpoints of a training in progress)."""
        return self.path / f".{name}"

"""Run: the folder that holds one artifact of each kind, made from one another."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from semconv.artifacts import published
from semconv.artifacts.manifest import Manifest
from semconv.artifacts.mirror import is_mirrored, mirror_of, origin, uri_of
from semconv.artifacts.store_files import StoreFiles

if TYPE_CHECKING:
    from semconv.config import RunSettings


class Run:
    """``<run.root>/<run.name>``; knows where each artifact of a run lies, opens none.

    Of a run behind a URI, ``path`` is in the mirror of this node: artifacts are fetched when they are opened there.
    """

    def __init__(self, root: str, name: str, mirror: str | None = None) -> None:
        self.path = (mirror_of(root, mirror) if "://" in root else Path(root)) / name

    @classmethod
    def at(cls, where: str, mirror: str | None = None) -> Run:
        """The run whose folder or URI this is; ``mirror``: where this node keeps its copies of one at a URI."""
        parts = urlsplit(where if "://" in where else "")
        if not parts.scheme:
            return cls(str(Path(where).parent), Path(where).name)
        root, _, name = parts.path.rstrip("/").rpartition("/")
        return cls(parts._replace(path=root).geturl(), name, mirror)

    @classmethod
    def of(cls, settings: RunSettings, name: str | None = None) -> Run:
        """The run of these settings, or another one, by ``name``, under the same root."""
        return cls(settings.root, name or settings.name, settings.mirror)

    @property
    def where(self) -> str:
        """What `at` takes for this run, from any folder."""
        return uri_of(self.path) or str(self.path.absolute())

    @property
    def shown(self) -> str:
        """What messages call it."""
        return published.origin_shown(self.path)

    def artifact(self, kind: str) -> Path:
        """Folder of the artifact of this kind."""
        return self.path / kind

    def absolute(self) -> Run:
        """The same run for processes that work in another folder."""
        return Run(str(self.path.parent.absolute()), self.path.name)

    def place(self, kind: str) -> str:
        """What `located` takes for the artifact of this kind: its folder, or the store that its versions are in."""
        return uri_of(self.artifact(kind)) or str(self.artifact(kind))

    def manifest(self, kind: str) -> Manifest | None:
        """The manifest of the artifact of this kind; None where there is none. Fetches nothing else."""
        folder = self.artifact(kind)
        if is_mirrored(folder):
            return published.published(folder)
        return Manifest.read(folder) if folder.exists() else None

    def private(self, name: str) -> Path:
        """A folder of this node for what a stage keeps for itself."""
        return self.path / f".{name}"

    def kept(self, name: str) -> StoreFiles:
        """`private`, for every node: what a stage that is interrupted goes on from."""
        return origin(self.private(name)) or StoreFiles.open(str(self.private(name)))

    def exists(self) -> bool:
        """Whether anything is there."""
        files = origin(self.path)
        return self.path.is_dir() if files is None else bool(files.folders(""))

    def publish(self, kind: str) -> bool:
        """Publish what a stage has written; False on a local disk, where it is published once it is there."""
        if not is_mirrored(self.artifact(kind)):
            return False
        published.publish(self.artifact(kind))
        return True

    def unpublished(self, kind: str, request: str) -> bool:
        """Whether an artifact of this request lies finished in this node's mirror: its publication was cut short."""
        found = published.finished(self.artifact(kind)) if is_mirrored(self.artifact(kind)) else None
        return found is not None and found.manifest.request == request

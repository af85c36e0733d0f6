"""The manifest: what an artifact is, what it was made from, and how to tell whether it still is what it was."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from semconv.errors import ArtifactError

MANIFEST_NAME = "manifest.json"
LAYOUT = 1
"""Version of the manifest's own layout; raised when older code could not read it."""

_LIBRARIES = ("semconv", "torch", "transformers", "deepspeed", "pyarrow", "ray", "numpy")


def digest(value: Any) -> str:
    """SHA-256, in hex, of a JSON value written canonically."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256, in hex, of a file's bytes, read as a stream."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def library_versions() -> dict[str, str]:
    """Versions of Python and of the libraries whose behaviour an artifact may depend on; absent ones left out."""
    versions = {"python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


@dataclass(frozen=True)
class Manifest:
    """What is written last into an artifact, and read first.

    ``fingerprint`` identifies the content: SHA-256 over the kind and every file's name and digest.
    ``request`` identifies what was asked for: kind, settings, inputs and code version; a stage whose request
    is unchanged is up to date. ``inputs`` maps an input's name to its fingerprint. ``lineage`` maps every
    ancestor's kind to its fingerprint, so that two artifacts can be checked against each other.
    """

    kind: str
    fingerprint: str
    request: str
    inputs: dict[str, str]
    lineage: dict[str, str]
    settings: dict[str, Any]
    counts: dict[str, Any]
    files: dict[str, dict[str, Any]]
    seconds: float
    layout: int = LAYOUT
    versions: dict[str, str] = field(default_factory=library_versions)
    created: str = field(default_factory=lambda: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))

    def write(self, folder: Path) -> None:
        """Write the manifest into ``folder``."""
        (folder / MANIFEST_NAME).write_text(json.dumps(asdict(self), indent=2, sort_keys=True) + "\n")

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Read the manifest of ``folder``; raises `ArtifactError` when it is absent, damaged or of another layout."""
        path = folder / MANIFEST_NAME
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            problem = "is not a finished artifact: it has no manifest" if folder.exists() else "does not exist"
            raise ArtifactError(f"{folder} {problem}", "Run the stage that makes it") from None
        except OSError as error:
            raise ArtifactError(f"The manifest {path} cannot be read: {error}", "Redo the stage that made it") from None
        return cls.parse(content, str(path))

    @classmethod
    def parse(cls, content: bytes, path: str) -> Manifest:
        """A manifest from what its file holds; raises `ArtifactError`, naming ``path``, as `read` does."""
        try:
            values = json.loads(content)
        except ValueError as error:
            raise ArtifactError(f"The manifest {path} cannot be read: {error}", "Redo the stage that made it") from None
        if values.get("layout") != LAYOUT:
            raise ArtifactError(
                f"{path} was written in layout {values.get('layout')}, this version reads {LAYOUT}",
                "Redo the stage that made it",
            )
        try:
            return cls(**values)
        except TypeError as error:
            raise ArtifactError(f"The manifest {path} is damaged: {error}", "Redo the stage that made it") from None


def describe_files(folder: Path) -> dict[str, dict[str, Any]]:
    """Size and digest of every file below ``folder``, by relative name, the manifest left out."""
    names = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    return {
        name: {"bytes": (folder / name).stat().st_size, "sha256": file_digest(folder / name)}
        for name in names
        if name != MANIFEST_NAME
    }

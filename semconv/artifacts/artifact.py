"""An artifact: a folder that is finished, says what it was made from, and is opened by path and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

from semconv.artifacts.manifest import Manifest, describe_files, digest, file_digest
from semconv.artifacts.mirror import is_mirrored
from semconv.errors import ArtifactError


def request_of(kind: str, settings: Mapping[str, Any], inputs: Mapping[str, str], code: int) -> str:
    """What identifies a piece of work: same request, same result. ``code`` is the stage's own version."""
    return digest({"kind": kind, "settings": dict(settings), "inputs": dict(inputs), "code": code})


class Artifact:
    """Base of the typed artifacts; a subclass names its ``kind`` and adds readers for its files."""

    kind: ClassVar[str]

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path = path
        self.manifest = manifest

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """Open a finished artifact; raises `ArtifactError` when it is absent, unfinished or of another kind.

        In the mirror of a run behind a URI (`semconv.artifacts.mirror`) it is fetched first, unless it is there.
        """
        folder = Path(path)
        if is_mirrored(folder):
            from semconv.artifacts.published import fetch  # which opens artifacts itself

            fetch(folder)
        opened = cls._of(folder, Manifest.read(folder))
        require_files(folder, opened.manifest)
        return opened

    @classmethod
    def described(cls, path: str | Path) -> Self:
        """As `open`, but in a mirror only the manifest of what is published is read, and no file is fetched."""
        folder = Path(path)
        if not is_mirrored(folder):
            return cls.open(folder)
        from semconv.artifacts.published import require_published

        return cls._of(folder, require_published(folder))

    @classmethod
    def _of(cls, folder: Path, manifest: Manifest) -> Self:
        if manifest.kind != cls.kind:
            raise ArtifactError(
                f"{folder} holds {manifest.kind}, not {cls.kind}", f"Give the path of a {cls.kind} artifact"
            )
        return cls(folder, manifest)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the content, in hex."""
        return self.manifest.fingerprint

    def verify(self) -> None:
        """Read every file and compare its digest; raises `ArtifactError` naming the first that differs."""
        for name, described in self.manifest.files.items():
            if file_digest(self.path / name) != described["sha256"]:
                raise ArtifactError(f"{self.path / name} is not what was published", "Redo the stage that made it")

    def lineage(self) -> dict[str, str]:
        """Fingerprints of this artifact and of all it descends from, by kind."""
        return {**self.manifest.lineage, self.kind: self.fingerprint}


def require_files(folder: Path, manifest: Manifest) -> None:
    """Raise `ArtifactError` unless every file is there in its size."""
    for name, described in manifest.files.items():
        file = folder / name
        if not file.is_file() or file.stat().st_size != described["bytes"]:
            raise ArtifactError(f"{file} is missing or has another size than when it was published", "Redo its stage")


def check_lineage(artifacts: Iterable[Artifact]) -> None:
    """Raise `ArtifactError`, naming both sides, unless all artifacts agree on every ancestor they share."""
    seen: dict[str, tuple[str, Artifact]] = {}
    for artifact in artifacts:
        for kind, fingerprint in artifact.lineage().items():
            known = seen.setdefault(kind, (fingerprint, artifact))
            if known[0] != fingerprint:
                raise ArtifactError(
                    f"{artifact.path} ({artifact.kind}) and {known[1].path} ({known[1].kind}) "
                    f"were made from different {kind}: {fingerprint[:12]} and {known[0][:12]}",
                    "Redo the older one, or open two that belong together",
                )


def finish(
    folder: Path,
    kind: str,
    *,
    settings: Mapping[str, Any],
    inputs: Mapping[str, Artifact | str],
    counts: Mapping[str, Any],
    request: str,
    seconds: float,
) -> Manifest:
    """Write the manifest of a freshly written ``folder``; the last step before it is published.

    ``inputs`` holds artifacts, or the fingerprint of raw input by its name. ``seconds`` is how long the stage took.
    """
    lineage: dict[str, str] = {}
    for parent in inputs.values():
        if isinstance(parent, Artifact):
            lineage |= parent.lineage()
    files = describe_files(folder)
    manifest = Manifest(
        kind=kind,
        fingerprint=digest({"kind": kind, "files": {name: file["sha256"] for name, file in files.items()}}),
        request=request,
        inputs={name: p.fingerprint if isinstance(p, Artifact) else p for name, p in inputs.items()},
        lineage=lineage,
        settings=dict(settings),
        counts=dict(counts),
        files=files,
        seconds=round(seconds, 3),
    )
    manifest.write(folder)
    return manifest

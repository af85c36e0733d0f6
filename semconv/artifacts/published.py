"""Artifacts of a run behind a URI: published as versions with their manifest last, fetched into the node's mirror.

A stage writes its artifact to the mirror as to a local disk and then publishes it: killed in between, the version that
was current before stays so, and the next try publishes what it finds finished.
"""

from __future__ import annotations

from pathlib import Path

from semconv.artifacts.artifact import Artifact, require_files
from semconv.artifacts.manifest import Manifest
from semconv.artifacts.mirror import origin, uri_of
from semconv.artifacts.publish import staging
from semconv.artifacts.snapshot_cache import alone
from semconv.artifacts.snapshot_store import SnapshotStore
from semconv.artifacts.store_files import shown_uri
from semconv.errors import ArtifactError

KEPT = 2
"""Versions that stay: the current one, and the one before it for whoever is reading it."""


def published(folder: Path) -> Manifest | None:
    """The manifest of what is published of an artifact in a mirror; None where nothing is."""
    store = _store(folder)
    version = store.current()
    return None if version is None else store.manifest(version)


def require_published(folder: Path) -> Manifest:
    """`published`; raises `ArtifactError` where nothing is."""
    manifest = published(folder)
    if manifest is None:
        raise ArtifactError(f"{origin_shown(folder)} is not published", "Run the stage that makes it")
    return manifest


def fetch(folder: Path) -> None:
    """Make an artifact in a mirror what is published, every file checked; one that is that already is left alone.

    Processes of a node wait for each other. Raises `ArtifactError` where nothing is published.
    """
    wanted = require_published(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with alone(folder):
        found = finished(folder)
        if found is None or found.manifest != wanted:
            store = _store(folder)
            with staging(folder) as copy:
                store.copy(store.chosen(None), copy)


def finished(folder: Path) -> Artifact | None:
    """What lies whole in a mirror, published or not; None where nothing does."""
    try:
        manifest = Manifest.read(folder)
        require_files(folder, manifest)
    except ArtifactError:
        return None
    return Artifact(folder, manifest)


def publish(folder: Path) -> None:
    """Publish what lies finished in a mirror as the current version."""
    with alone(folder):
        require_files(folder, manifest := Manifest.read(folder))
        _store(folder).publish(Artifact(folder, manifest), keep=KEPT)


def origin_shown(path: Path) -> str:
    """What messages call a path: where it comes from, if it is in a mirror."""
    uri = uri_of(path)
    return str(path) if uri is None else shown_uri(uri)


def _store(folder: Path) -> SnapshotStore:
    files = origin(folder)
    if files is None:
        raise ValueError(f"{folder} is in no mirror")
    return SnapshotStore(files)

"""The snapshot store: published versions on a local disk or an object store, and one of them current.

    versions/VERSION/...     the files of a snapshot; without manifest.json, written last, it is not published
    CURRENT                  the version that is served; below it those that were before, the last one first
    reading/VERSION.TOKEN    somebody publishes, fetches or points to this version: it is not to be removed

So lie the artifacts of a run on an object store too, each in a store of its own (`semconv.artifacts.published`).
A version's name begins with its time, so that names sort by age, and no two publications share one. Whoever removes a
version first takes its manifest away and only then looks for readers; whoever reads first says so and only then looks
for the manifest: one of the two always sees the other, with no lock that an object store would have to offer.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from semconv.artifacts.artifact import Artifact
from semconv.artifacts.manifest import MANIFEST_NAME, Manifest
from semconv.artifacts.publish import staging
from semconv.artifacts.snapshot_cache import VERSION, copy_of, copy_whole, kept_copy, manifest_of, require_same
from semconv.artifacts.store_files import StoreFiles
from semconv.artifacts.topk import TopKSnapshot
from semconv.artifacts.topk_export import export_parquet
from semconv.errors import ArtifactError, SemconvError

READING, CURRENT = "reading", "CURRENT"
TIME = "%Y%m%dT%H%M%S%f"
ABANDONED_S = 86_400.0
"""Seconds after which whoever says that a version is being read is taken for dead."""


class SnapshotStore:
    """Publishes, lists, checks, removes and fetches versions; any number of processes on any number of nodes may.

    Every method raises `ArtifactError` when the store is out of reach.
    """

    def __init__(self, files: StoreFiles) -> None:
        self._files = files

    @classmethod
    def open(cls, where: str) -> SnapshotStore:
        """The store in a local folder or at a URI that pyarrow opens; one that is not there yet has no versions.

        Keys of an object store come from the environment; `SettingError` for a URI that carries some.
        """
        return cls(StoreFiles.open(where))

    def publish(self, snapshot: Artifact, keep: int = 3) -> str:
        """Copy a snapshot in under a version of its own, make that current, and `prune`; returns the version.

        Raises `ArtifactError` when the snapshot is not what its manifest says, `ResourceError` when the disk is full;
        then, as when the process is killed, what was current stays so, and nothing half done can be fetched.
        """
        # As the folder is now, for it may have been replaced: files and manifest are to be of one snapshot.
        content = manifest_of(snapshot.path)
        manifest = Manifest.parse(content, str(snapshot.path / MANIFEST_NAME))
        if manifest.fingerprint != snapshot.fingerprint:
            raise ArtifactError(
                f"{snapshot.path} is another snapshot than the one that was opened", "Open and publish it again"
            )
        self._files.require_space(sum(file["bytes"] for file in manifest.files.values()))
        version = self._next(snapshot.fingerprint)
        with self._reading(version):
            try:
                for name, file in manifest.files.items():
                    source = snapshot.path / name
                    require_same(str(source), self._files.put(source, _folder(version) + name), file)
                self._files.write(_folder(version) + MANIFEST_NAME, content)
            except BaseException:
                with contextlib.suppress(SemconvError):
                    self._files.delete_folder(_folder(version))
                raise
            self._make_current(version)
        self.prune(keep)
        return version

    def versions(self) -> list[str]:
        """Published versions, oldest first."""
        return list(filter(self._has, self._names()))

    def current(self) -> str | None:
        """The version that is served; None before the first publication."""
        return next(iter(self._served()), None)

    def before(self) -> list[str]:
        """Versions to roll back to, the last that was current first.

        Whoever goes back to one gives up those that came after it: they are not among these again.
        """
        return [version for version in self._served()[1:] if self._has(version)]

    def chosen(self, version: str | None) -> str:
        """This version, or the current one where none is named; raises `ArtifactError` where there is none."""
        found = version or self.current()
        if found is None:
            raise ArtifactError(f"The store {self._files.shown} holds no snapshot", "Publish one")
        return found

    def point(self, version: str) -> None:
        """Make a published version the current one; to an earlier one, this is roll-back."""
        with self._reading(version):
            self.manifest(version)
            self._make_current(version)

    def manifest(self, version: str) -> Manifest:
        """What a published version is."""
        return Manifest.parse(self._published(version), f"{self._files.shown}/{_folder(version)}{MANIFEST_NAME}")

    def verify(self, version: str) -> None:
        """Read every file of a version; raises `ArtifactError` naming the first that is not what was published."""
        with self._reading(version):
            for name, file in self.manifest(version).files.items():
                digest = self._files.get(_folder(version) + name, None)
                require_same(f"{self._files.shown}/{_folder(version)}{name}", digest, file)

    def prune(self, keep: int) -> list[str]:
        """Remove all versions but the newest ``keep``, the current one and those that are being read.

        Where more than one is kept, so is the one to roll back to. What a killed publication left goes as well. Returns
        what was removed.
        """
        way_back = self.before()[:1] if keep > 1 else []
        spared = {*self.versions()[-keep:], self.current(), *way_back, *self._readers()}
        return [version for version in self._names() if version not in spared and self._remove(version)]

    def fetch(self, version: str, cache: Path) -> Path:
        """A verified copy of a version in the node-local folder ``cache``, which the processes of a node share.

        A whole copy that is there is used, and the store is not asked; a damaged one is replaced.
        """
        _require_name(version)

        return kept_copy(cache / version, lambda folder: self.copy(version, folder))

    def copy(self, version: str, folder: Path) -> None:
        """Copy a version into an empty folder; refuses files that are not what was published."""
        with self._reading(version):
            copy_whole(self._files, _folder(version), self._published(version), folder)

    def export(self, version: str, folder: Path) -> None:
        """Write a version as Parquet files, see `export_parquet`; replaces what stands at ``folder``."""
        folder.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=folder.parent, prefix=".export-") as cache, staging(folder) as out:
            export_parquet(TopKSnapshot.open(self.fetch(version, Path(cache))), out)

    def _served(self) -> list[str]:
        """The current version and those that were before, the last one first."""
        return (self._files.read(CURRENT) or b"").decode().split()

    def _make_current(self, version: str) -> None:
        """In one step with what was before, so far as that is still there."""
        served = self._served()
        earlier = served[served.index(version) + 1 :] if version in served else served
        there = set(self._names())
        self._files.write(CURRENT, "\n".join((version, *(name for name in earlier if name in there))).encode())

    def _has(self, version: str) -> bool:
        return self._files.read(_folder(version) + MANIFEST_NAME) is not None

    def _names(self) -> list[str]:
        """All versions, published or not, oldest first."""
        return [name for name in self._files.folders("versions") if VERSION.fullmatch(name)]

    def _next(self, fingerprint: str) -> str:
        """A new version, later than all others even where the clock was set back."""
        return f"{time_after(self._names())}-{fingerprint[:8]}-{secrets.token_hex(4)}"

    def _published(self, version: str) -> bytes:
        """The manifest of a version as it is stored."""
        _require_name(version)
        content = self._files.read(_folder(version) + MANIFEST_NAME)
        if content is None:
            raise ArtifactError(
                f"The store {self._files.shown} has no version {version}",
                "Choose one that `python -m pipelines.snapshots list` shows",
            )
        return content

    @contextmanager
    def _reading(self, version: str) -> Iterator[None]:
        """Keep the version from being removed; a store that one may only read is read unprotected."""
        mark = f"{READING}/{version}.{secrets.token_hex(8)}"
        with contextlib.suppress(ArtifactError):
            self._files.write(mark, b"")
        try:
            yield
        finally:
            with contextlib.suppress(SemconvError):
                self._files.delete(mark)

    def _readers(self) -> set[str]:
        """The versions that are being read, published or pointed to."""
        ages = self._files.ages(READING, time.time())
        for mark in [mark for mark, age in ages.items() if age > ABANDONED_S]:
            self._files.delete(f"{READING}/{mark}")
            del ages[mark]
        return {mark.partition(".")[0] for mark in ages}

    def _remove(self, version: str) -> bool:
        """Remove a version, unless somebody has begun to read it or it became current; whether it went."""
        name = _folder(version) + MANIFEST_NAME
        manifest = self._files.read(name)
        if manifest is not None:
            self._files.delete(name)
        if version in self._readers() or version == self.current():
            if manifest is not None:
                self._files.write(name, manifest)
            return False
        self._files.delete_folder(_folder(version))
        return True


def located(where: str, cache: Path, *, own: bool = False) -> Path:
    """The folder of a snapshot by what a setting calls it: a folder, ``STORE#VERSION``, or a store (its current one).

    Versions of a store are fetched to ``cache``. A folder is taken as it is, or, for a caller that wants its ``own``,
    copied to ``cache`` as well.
    """
    if "://" not in where and ("#" not in where or Path(where).exists()):
        if not (Path(where) / CURRENT).is_file():
            return copy_of(Path(where), cache) if own else Path(where)
        place, version = where, ""
    else:
        place, _, version = where.partition("#") if "://" in where else where.rpartition("#")
    store = SnapshotStore.open(place)
    return store.fetch(store.chosen(version or None), cache)


def time_after(names: Sequence[str]) -> str:
    """How a new name begins, that sorts after these, in order, even where the clock was set back."""
    now = datetime.now(UTC)
    for newest in names[-1:]:
        made = datetime.strptime(newest.partition("-")[0], TIME).replace(tzinfo=UTC)
        now = max(now, made + timedelta.resolution)
    return now.strftime(TIME)


def _folder(version: str) -> str:
    return f"versions/{version}/"


def _require_name(version: str) -> None:
    if not VERSION.fullmatch(version):
        raise ArtifactError(f"'{version}' is no version", "Give one as `python -m pipelines.snapshots list` shows it")

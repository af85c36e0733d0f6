"""A release: corpus, tokens, model, snapshot and their report under one manifest, and which of them is current.

    manifests/NAME.json    what a release is, written once and never changed
    log/TIME-NAME.json     each promotion and each roll-back: when, to what, from what, and why
    snapshots/             the `SnapshotStore` of the releases' snapshots
    CURRENT                the name of the release that is served, replaced in one step, after all else

Names begin with their time, so that they sort by age. Any folder or URI that `StoreFiles` opens will do.
"""

from __future__ import annotations

import fcntl
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from semconv.artifacts.manifest import Manifest
from semconv.artifacts.run import Run
from semconv.artifacts.snapshot_cache import alone
from semconv.artifacts.snapshot_store import CURRENT, TIME, SnapshotStore, time_after
from semconv.artifacts.store_files import StoreFiles, within
from semconv.artifacts.topk import TopKSnapshot
from semconv.config.run import RELEASES
from semconv.errors import ArtifactError, ResourceError

KINDS = ("corpus", "vectors", "behaviour", "tokens", "model", "blend", "report")
"""What a release ties together beside its snapshot."""
LAYOUT = 1
PROMOTED, ROLLED_BACK = "promoted", "rolled back"


@dataclass(frozen=True)
class Release:
    """One manifest. ``artifacts``: fingerprints by kind, the snapshot's among them; ``run``: their folder or URI.

    ``snapshot`` is a version of a store, ``STORE#VERSION``. ``figures`` are the report's, with intervals, and the
    snapshot's. ``verdicts`` is what the gate found ``against`` the release that was current then, if there was one;
    ``because`` why it was promoted, which has to be said where the gate refused it.
    """

    name: str
    run: str
    snapshot: str
    artifacts: Mapping[str, str]
    figures: Mapping[str, Any]
    verdicts: list[Mapping[str, Any]] = field(default_factory=list)
    against: str | None = None
    because: str | None = None
    created: str = field(default_factory=lambda: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))
    layout: int = LAYOUT

    @property
    def refused(self) -> list[str]:
        """What the gate refused it for."""
        return [str(verdict["what"]) for verdict in self.verdicts if verdict["refused"]]

    def require(self, run: Run) -> None:
        """Raise `ArtifactError` where ``run`` no longer holds what was released."""
        for kind, fingerprint in fingerprints(run).items():
            if self.artifacts[kind] != fingerprint:
                raise ArtifactError(
                    f"{kind} in {run.shown} is no longer what release {self.name} was made of",
                    "Promote the run as it is now as a release of its own, or choose another release",
                )

    @classmethod
    def parse(cls, content: bytes, shown: str) -> Self:
        """From a manifest's file; raises `ArtifactError`, naming ``shown``."""
        try:
            values = json.loads(content)
            if values["layout"] != LAYOUT:
                raise ValueError(f"it is of layout {values['layout']}, and this version reads {LAYOUT}")
            return cls(**values)
        except (ValueError, KeyError, TypeError) as error:
            raise ArtifactError(f"The release {shown} cannot be read: {error}", "Promote the run anew") from None


@dataclass(frozen=True)
class Change:
    """A promotion or a roll-back: ``what`` of the two, ``to`` which release, ``before`` it, ``because`` of what."""

    at: str
    what: str
    to: str
    before: str | None
    because: str | None


class Releases:
    """The releases of a folder or URI. Every method raises `ArtifactError` when that is out of reach."""

    def __init__(self, where: str) -> None:
        self.where = where if "://" in where else str(Path(where).absolute())
        self.store = within(self.where, "snapshots")
        self._files = StoreFiles.open(self.where)

    @property
    def snapshots(self) -> SnapshotStore:
        """Where the snapshots lie."""
        return SnapshotStore.open(self.store)

    def names(self) -> list[str]:
        """All releases, oldest first."""
        return sorted(Path(name).stem for name in self._files.ages("manifests", 0.0) if name.endswith(".json"))

    def current(self) -> str | None:
        """The release that is served; None before the first promotion."""
        content = self._files.read(CURRENT)
        return None if content is None else content.decode().strip()

    def read(self, name: str) -> Release:
        """A release by its name."""
        content = self._files.read(_manifest(name)) if name == Path(name).name else None
        if content is None:
            raise ArtifactError(
                f"{self._files.shown} has no release {name}",
                "Choose one that `python -m pipelines.release list` shows",
            )
        return Release.parse(content, f"{self._files.shown}/{_manifest(name)}")

    def chosen(self, name: str | None) -> Release:
        """This release, or the current one where none is named; raises `ArtifactError` where there is none."""
        found = name or self.current()
        if found is None:
            raise ArtifactError(
                f"{self._files.shown} holds no release", "Make one with python -m pipelines.release promote"
            )
        return self.read(found)

    def add(self, release: Release) -> None:
        """Write a manifest; a release that is there is never written over."""
        if self._files.read(_manifest(release.name)) is not None:
            raise ArtifactError(f"There is a release {release.name} already", "Promote again, under another name")
        self._files.write(_manifest(release.name), _json(asdict(release)))

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Change releases in this block alone; `ResourceError` where another process does. A URI has no lock."""
        if "://" in self.where:
            yield
            return
        place = Path(self.where)
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            with alone(place, fcntl.LOCK_EX | fcntl.LOCK_NB):
                yield
        except BlockingIOError:
            raise ResourceError(
                f"Another promotion or roll-back of {self._files.shown} is going on", "Wait for its end, or end it"
            ) from None

    def point(self, name: str, what: str, because: str | None) -> None:
        """Make a release the current one, and say so in the log first."""
        release, before, now = self.read(name), self.current(), datetime.now(UTC)
        change = Change(now.isoformat(timespec="milliseconds"), what, release.name, before, because)
        self._files.write(f"log/{now.strftime(TIME)}-{release.name}.json", _json(asdict(change)))
        self._files.write(CURRENT, release.name.encode())

    def log(self) -> list[Change]:
        """Every promotion and roll-back, oldest first."""
        contents = (self._files.read(f"log/{name}") for name in sorted(self._files.ages("log", 0.0)))
        return [Change(**json.loads(content)) for content in contents if content is not None]

    def entered(self) -> set[str]:
        """The releases that were current at some time; others were refused by the service, or cut short."""
        return {change.to for change in self.log()}

    def gone_back_from(self) -> set[str]:
        """The releases that were rolled back, and not promoted for a reason since."""
        found: set[str] = set()
        for change in self.log():
            found.discard(change.to)
            if change.what == ROLLED_BACK and change.before is not None:
                found.add(change.before)
        return found

    def publish(self, snapshot: TopKSnapshot) -> str:
        """Copy a snapshot into the store, or find it there, and make it the store's current one; ``STORE#VERSION``.

        Nothing is removed: see `prune`.
        """
        store = self.snapshots
        for version in reversed(store.versions()):
            if store.manifest(version).fingerprint == snapshot.fingerprint:
                store.point(version)
                return f"{self.store}#{version}"
        return f"{self.store}#{store.publish(snapshot, keep=_ALL)}"

    def point_snapshots(self, release: Release) -> None:
        """Make a release's snapshot the store's current one; `ArtifactError` where it is no longer there."""
        self.snapshots.point(version_of(release.snapshot))

    def prune(self, keep: int) -> list[str]:
        """Remove all snapshots but the newest ``keep`` and the current one; manifests stay."""
        return self.snapshots.prune(keep)

    def new_name(self, fingerprint: str) -> str:
        """A name that no release has, later than all of them even where the clock was set back."""
        return f"{time_after(self.names())}-{fingerprint[:8]}"


def open_releases(store: str | None, root: str) -> Releases:
    """The releases at ``store``, or where none is named beside the runs of ``root``."""
    return Releases(store or within(root, RELEASES))


def located_release(where: str) -> Release:
    """A release by what a setting calls it: the place of releases (the current one of it), or ``PLACE#NAME``."""
    place, _, name = where.partition("#")
    return Releases(place).chosen(name or None)


def fingerprints(run: Run) -> dict[str, str]:
    """Of every artifact in `KINDS` that a run holds, by kind; `ArtifactError` for one that is absent."""
    return {kind: _manifest_of(run, kind).fingerprint for kind in KINDS}


def version_of(snapshot: str) -> str:
    """The version in ``STORE#VERSION``."""
    return snapshot.rpartition("#")[2]


_ALL = 2**31


def _manifest_of(run: Run, kind: str) -> Manifest:
    found = run.manifest(kind)
    if found is None:
        raise ArtifactError(f"{run.shown} has no {kind}", "Run the stage that makes it")
    return found


def _manifest(name: str) -> str:
    return f"manifests/{name}.json"


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=2, sort_keys=True) + "\n").encode()

"""Node-local copies of snapshots: each made once, verified, and shared by the processes of a node.

A service maps its own copy, so that nobody can shorten a file under it, and comes up again from that copy while the
store, or the folder that the copy was made of, is damaged or out of reach.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any, TextIO

from semconv.artifacts.manifest import MANIFEST_NAME, Manifest
from semconv.artifacts.publish import require_space, staging
from semconv.artifacts.store_files import StoreFiles
from semconv.artifacts.topk import TopKSnapshot
from semconv.errors import ArtifactError

KEPT = 3
"""Copies that stay however long nobody asked for them."""
UNUSED_S = 86_400.0
"""Seconds since a copy was last asked for after which it may go."""
VERSION = re.compile(r"\d{8}T\d{12}-[0-9a-f]{8}-[0-9a-f]{8}")
"""The name of a version in a store: its time in UTC, to the microsecond, its content, and chance."""
BOOT = Path("/proc/sys/kernel/random/boot_id")
COPY = re.compile(rf"{VERSION.pattern}|copy-[0-9a-f]{{32}}")
"""Names of copies; whatever else lies in the folder is somebody else's."""


def copy_of(folder: Path, cache: Path) -> Path:
    """A verified copy in ``cache`` of the snapshot in ``folder``; one that is there is found by the manifest alone."""
    files, content = StoreFiles.open(str(folder)), manifest_of(folder)
    name = f"copy-{hashlib.sha256(content).hexdigest()[:32]}"
    return kept_copy(cache / name, lambda made: copy_whole(files, "", content, made))


def manifest_of(folder: Path) -> bytes:
    """The manifest of a finished artifact as it is stored."""
    content = StoreFiles.open(str(folder)).read(MANIFEST_NAME)
    if content is None:
        raise ArtifactError(f"{folder} is not a finished artifact: it has no manifest", "Run the stage that makes it")
    return content


def kept_copy(target: Path, make: Callable[[Path], None]) -> Path:
    """``target``, if it is there and whole; else what ``make`` writes into the folder that it is given.

    One process makes it while the others wait. Every byte is read once a start of the machine, and again where a file
    is not the one that was read. Other copies beside it go when nobody has asked for them for long.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with alone(target) as lock:
        lock.seek(0)
        found = _seen(target)
        if found is None or lock.read() != found:
            if not _is_whole(target):
                with staging(target) as folder:
                    make(folder)
                found = _seen(target)
            lock.truncate(0)
            lock.write(found or "")
        os.utime(target)
    _forget_unused(target.parent)
    return target


def copy_whole(files: StoreFiles, prefix: str, manifest: bytes, folder: Path) -> None:
    """Copy what a manifest names from ``prefix`` in ``files`` to ``folder``; refuses files that differ from it."""
    described = Manifest.parse(manifest, f"{files.shown}/{prefix}{MANIFEST_NAME}").files
    require_space(folder, sum(file["bytes"] for file in described.values()))
    for name, file in described.items():
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise ArtifactError(
                f"The manifest of {files.shown}/{prefix} names {name}, outside of it", "Trust nothing in it"
            )
        require_same(f"{files.shown}/{prefix}{name}", files.get(prefix + name, folder / name), file)
    (folder / MANIFEST_NAME).write_bytes(manifest)


def require_same(where: str, digest: str, described: Mapping[str, Any]) -> None:
    """Raise `ArtifactError`, naming the file, unless its digest is the manifest's."""
    if digest != described["sha256"]:
        raise ArtifactError(f"{where} is not what was published", "Publish the snapshot anew, or use another version")


def _is_whole(target: Path) -> bool:
    try:
        TopKSnapshot.open(target).verify()
    except ArtifactError:
        return False
    return True


def boot() -> str | None:
    """What tells one start of this machine from the next; None where the system does not say."""
    try:
        return BOOT.read_text().strip()
    except OSError:
        return None


def _seen(target: Path) -> str | None:
    """What is another text once a file of ``target`` was written to or replaced, or the machine started again."""
    started = boot()
    if started is None:
        return None
    files = sorted(path for path in target.rglob("*") if path.is_file())
    told = ((path.relative_to(target), path.stat()) for path in files)
    lines = (f"{name} {at.st_dev} {at.st_ino} {at.st_size} {at.st_mtime_ns} {at.st_ctime_ns}" for name, at in told)
    return "\n".join((started, *lines))


@contextmanager
def alone(target: Path, how: int = fcntl.LOCK_EX) -> Iterator[TextIO]:
    """Keep other processes and threads from the same block; the lock goes with the process, however it ends.

    Gives the lock's file, whose text says which files were read and found whole.
    """
    path = _lock_of(target)
    while True:
        with path.open("a+") as lock:
            fcntl.flock(lock, how)
            if _is_at(path, lock):  # else somebody has removed it while this one waited
                yield lock
                return


def _is_at(path: Path, opened: TextIO) -> bool:
    try:
        return os.path.samestat(os.fstat(opened.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _lock_of(target: Path) -> Path:
    return target.with_name(f".{target.name}.lock")


def _forget_unused(cache: Path) -> None:
    copies = [path for path in cache.iterdir() if COPY.fullmatch(path.name)]
    for path in sorted(copies, key=_last_asked, reverse=True)[KEPT:]:
        if _is_unused(path):
            _forget(path)


def _forget(path: Path) -> None:
    """Remove a copy, unless somebody is at it or has asked for it by now."""
    with suppress(BlockingIOError), alone(path, fcntl.LOCK_EX | fcntl.LOCK_NB):
        if _is_unused(path):
            shutil.rmtree(path, ignore_errors=True)
            _lock_of(path).unlink()


def _is_unused(path: Path) -> bool:
    return _last_asked(path) < time.time() - UNUSED_S


def _last_asked(path: Path) -> float:
    """When, in seconds since 1970; 0 for a copy that is gone: another process clears up as well."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0

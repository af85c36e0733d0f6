"""Atomic publication on a local disk: written to a temporary sibling, fsynced, then renamed into place.

A process killed at any point leaves either the earlier artifact or the new one, and perhaps a temporary sibling
that the next publication of the same artifact clears away.
"""

from __future__ import annotations

import ctypes
import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from semconv.errors import ResourceError

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


@contextmanager
def staging(target: Path) -> Iterator[Path]:
    """A temporary sibling of ``target`` to write into; published when the block ends, removed when it raises.

    Raises `ResourceError` where nothing may be written, or the disk is full. A writer of its own process name is
    assumed: two processes that publish the same target at once each publish whole, and the later one stays.
    """
    folder = _begun(target)
    try:
        yield folder
        publish(folder, target)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ResourceError(
                f"The disk that holds {target.parent} is full",
                "Free space, or choose another folder (run.root, run.mirror, serve.cache)",
            ) from error
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _begun(target: Path) -> Path:
    """An empty folder beside ``target``, without what dead writers have left there."""
    folder = target.parent / f".{target.name}.tmp-{os.getpid()}-{secrets.token_hex(4)}"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _clear_leftovers(target)
        folder.mkdir()
    except OSError as error:
        raise ResourceError(
            f"{target.parent} cannot be written: {error.strerror}",
            "Mend that, or choose another folder (run.root, run.mirror, serve.cache)",
        ) from error
    return folder


def publish(folder: Path, target: Path) -> None:
    """Make the finished ``folder`` appear as ``target`` in one step; whatever stood there is removed afterwards."""
    for path in sorted(folder.rglob("*"), reverse=True):
        fsync(path)
    fsync(folder)
    if target.exists():
        _exchange(folder, target)
        fsync(target.parent)
        shutil.rmtree(folder)
    else:
        folder.rename(target)
        fsync(target.parent)


def require_space(folder: Path, needed: int) -> None:
    """Raise `ResourceError` when the disk under ``folder`` has less than ``needed`` bytes free."""
    existing = next(p for p in (folder, *folder.absolute().parents) if p.exists())
    free = shutil.disk_usage(existing).free
    if free < needed:
        raise ResourceError(
            f"{existing} has {free / 2**30:.2f} GiB free and about {needed / 2**30:.2f} GiB are needed",
            "Free space, or choose another folder (run.root, run.mirror, serve.cache)",
        )


def fsync(path: Path) -> None:
    """Wait until a file, or a folder's list of names, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _exchange(first: Path, second: Path) -> None:
    """Swap two directories atomically (Linux renameat2); elsewhere by two renames."""
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is not None:
        if renameat2(_AT_FDCWD, os.fsencode(first), _AT_FDCWD, os.fsencode(second), _RENAME_EXCHANGE) == 0:
            return
        code = ctypes.get_errno()
        if code not in (errno.EINVAL, errno.ENOSYS):
            raise OSError(code, os.strerror(code), str(second))
    aside = first.with_name(first.name + ".old")
    second.rename(aside)
    first.rename(second)
    aside.rename(first)


def _clear_leftovers(target: Path) -> None:
    """Remove temporary siblings whose writing process is gone (same host)."""
    for leftover in target.parent.glob(f".{target.name}.tmp-*"):
        owner = leftover.name.split(".tmp-")[1].split("-")[0]
        if not owner.isdigit() or not Path(f"/proc/{owner}").exists():
            shutil.rmtree(leftover, ignore_errors=True)

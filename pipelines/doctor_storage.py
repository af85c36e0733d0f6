"""Whether what a run reads can be read, and whether it may write where it is told to, on disks and object stores."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from pyarrow import ArrowException
from pyarrow.fs import FileSystem

from pipelines.doctor_machine import GIB
from semconv.artifacts import Run, require_space
from semconv.artifacts.store_files import shown_uri
from semconv.config import Settings
from semconv.errors import InputError, ResourceError, SettingError

LEAST_BYTES = 2 * GIB
PER_INPUT_BYTE = 50
"""Bytes of artifacts for a byte of compressed input: 42 on Amazon Beauty, most of them vectors of items."""


def corpus(settings: Settings) -> str:
    """The raw input is there and readable."""
    if settings.corpus.reader == "synthetic":
        return "the built-in shop"
    if settings.corpus.path is None:
        raise SettingError("corpus.path is not set", "Say where the data is: --corpus.path /path/to/folder")
    folder = Path(settings.corpus.path)
    if not folder.is_dir():
        raise InputError(f"corpus.path is {folder}, which is no folder", "Give the folder that holds the raw files")
    files = [file for file in folder.iterdir() if file.is_file()]
    locked = [file.name for file in files if not os.access(file, os.R_OK)]
    if locked:
        raise InputError(f"{folder} holds files that may not be read: {', '.join(locked)}", "Allow reading: chmod +r")
    if not files:
        raise InputError(f"{folder} is empty", "Put the raw files there")
    return f"{len(files)} files, {_input_bytes(settings) / GIB:.2f} GiB in {folder}"


def root(settings: Settings) -> str:
    """The run's folder can be written, and reached by every node where there are several."""
    place = settings.run.root
    if settings.ray.joined is not None and "://" not in place and not Path(place).is_absolute():
        raise SettingError(
            f"run.root is '{place}', a relative path, and the work runs on a cluster that is joined",
            "Give --run.root an absolute path that every node can reach, or a URI",
        )
    run = Run.of(settings.run)
    _write_and_remove(place)
    if "://" not in place:
        return f"{run.path} can be written"
    _write_and_remove(str(run.path))
    return f"{run.shown} can be written, and so can its mirror on this node, {run.path.parent}"


def disk(settings: Settings) -> str:
    """There is room for the run, and for Ray's temporary files: above 95% Ray stops putting anything there."""
    needed = max(LEAST_BYTES, PER_INPUT_BYTE * _input_bytes(settings))
    folder = Run.of(settings.run).path.parent
    require_space(folder, needed)
    temporary = os.environ.get("RAY_TMPDIR", "/tmp")
    require_space(Path(temporary), LEAST_BYTES)
    status = os.statvfs(temporary)
    full = 1 - status.f_bavail / status.f_blocks
    if full > 0.95:
        raise ResourceError(f"The disk of {temporary} is {full:.0%} full", "Free space, or set RAY_TMPDIR elsewhere")
    return f"room for {needed / GIB:.1f} GiB in {folder}, {temporary} is {full:.0%} full"


def stores(settings: Settings) -> str:
    """The stores of snapshots and releases and the service's state can be written, what is served from can be read."""
    written = {place for place in (settings.precache.store, settings.release.store, settings.serve.state) if place}
    read = {
        place.partition("#")[0]
        for place in (settings.serve.snapshot, settings.serve.release, settings.precache.since)
        if place
    }
    for place in sorted(read - written):
        if "://" not in place and not Path(place).exists():
            raise ResourceError(f"There is no {place}", "Correct serve.snapshot, serve.release or precache.since")
    for place in sorted(written):
        _write_and_remove(place)
    told = f"{', '.join(map(_shown, sorted(written)))} can be written"
    return told if written else "none written (precache.store, release.store, serve.state)"


def _input_bytes(settings: Settings) -> int:
    folder = Path(settings.corpus.path or "")
    if settings.corpus.path is None or not folder.is_dir():
        return 0
    return sum(file.stat().st_size for file in folder.iterdir() if file.is_file())


def _write_and_remove(place: str) -> None:
    """Write, read and remove a small file there; raises `ResourceError` with what went wrong."""
    name = f".doctor-{secrets.token_hex(4)}"
    try:
        if "://" in place:
            files, path = FileSystem.from_uri(place)
        else:
            files, path = FileSystem.from_uri(_existing(Path(place)).as_uri())
        with files.open_output_stream(f"{path}/{name}") as stream:
            stream.write(b"semconv")
        with files.open_input_stream(f"{path}/{name}") as stream:
            whole = stream.read() == b"semconv"
        files.delete_file(f"{path}/{name}")
    except (OSError, ArrowException) as error:
        reason = str(error).replace(place, _shown(place))
        raise ResourceError(f"{_shown(place)} cannot be written: {reason}", _remedy(place)) from None
    if not whole:
        raise ResourceError(f"{_shown(place)} gives back other bytes than were written", "Look at its disk")


def _remedy(place: str) -> str:
    if "://" in place:
        return (
            "See that the bucket exists, and give its rights by the environment (AWS_ACCESS_KEY_ID and so on) or by "
            "the machine's role"
        )
    return f"Give the user {os.geteuid()} the right to write there, or choose another place"


def _existing(path: Path) -> Path:
    """The folder itself, or the nearest one above it that exists: that is where it would be made."""
    return next(one for one in (path.absolute(), *path.absolute().parents) if one.exists())


def _shown(place: str) -> str:
    return shown_uri(place) if "://" in place else place

"""Files of a store, on a local disk or on any filesystem that pyarrow opens by URI, by names relative to its root.

On a local disk a file appears whole or not at all: it is written aside, fsynced and renamed. So it is on an object
store, but for a file whose source fails midway; other filesystems may show any file in part. There the order protects:
whoever writes many files writes last the one that names them, with their digests. Credentials come from the
environment alone and are kept out of every message.
"""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.fs

from semconv.artifacts.publish import fsync, require_space
from semconv.errors import ArtifactError, ResourceError, SettingError

CHUNK = 8 * 2**20
"""Bytes that are copied at a time."""
SECRETS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")


class StoreFiles:
    """The files under one folder or prefix; every method raises `ArtifactError`, or `ResourceError` on a full disk."""

    def __init__(self, filesystem: pa.fs.FileSystem, root: str, shown: str) -> None:
        self.filesystem = filesystem
        self._root = root.rstrip("/")
        self.shown = shown
        """What messages call it."""
        self.local = isinstance(filesystem, pa.fs.LocalFileSystem)

    @classmethod
    def open(cls, where: str) -> StoreFiles:
        """A local folder, absent or not, or a URI; `SettingError` for one that pyarrow cannot open or that has keys."""
        if "://" not in where:
            path = Path(where).absolute()
            return cls(pa.fs.LocalFileSystem(), str(path), str(path))
        shown = shown_uri(where)
        if "@" in urlsplit(where).netloc:
            raise SettingError(
                f"The URI of the store {shown} carries a name or a key before '@'",
                "Leave it out and set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment",
            )
        try:
            filesystem, root = pa.fs.FileSystem.from_uri(where)
        except (OSError, ValueError, pa.ArrowException) as error:
            raise SettingError(
                f"The store {shown} cannot be opened: {_without_secrets(str(error))}",
                "Give a local folder, or a URI that pyarrow opens, such as s3://bucket/path",
            ) from None
        return cls(filesystem, root, shown)

    def below(self, name: str) -> StoreFiles:
        """The files in a folder of these."""
        return StoreFiles(self.filesystem, self.path(name), f"{self.shown}/{name}")

    def path(self, name: str = "") -> str:
        """What the filesystem calls a file or folder; others that write there are given both."""
        return f"{self._root}/{name}".rstrip("/")

    def read(self, name: str) -> bytes | None:
        """The content of a small file; None where there is none."""
        with self._explained(name):
            try:
                with self.filesystem.open_input_stream(self.path(name)) as stream:
                    return bytes(stream.read())
            except FileNotFoundError:
                return None

    def write(self, name: str, content: bytes) -> None:
        """Write a small file in one step, over the one that may stand there; durable on return."""
        create = self.filesystem.open_output_stream
        with self._explained(name), self._appearing(name) as path, create(path) as stream:
            stream.write(content)

    def put(self, source: Path, name: str) -> str:
        """Copy a local file in; its SHA-256, in hex, as it was read."""
        create = self.filesystem.open_output_stream
        with self._explained(name), source.open("rb") as reader, self._appearing(name) as path, create(path) as writer:
            return _copied(reader, writer)

    def get(self, name: str, target: Path | None) -> str:
        """Copy a file to a local one, or only read it; its SHA-256, in hex."""
        with self._explained(name), self.filesystem.open_input_stream(self.path(name)) as reader:
            if target is None:
                return _copied(reader, None)
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as writer:
                return _copied(reader, writer)

    def folders(self, name: str) -> list[str]:
        """Names of the folders in a folder, sorted."""
        with self._explained(name):
            return sorted(found.base_name for found in self._listed(name) if found.type == pa.fs.FileType.Directory)

    def names(self, name: str = "") -> list[str]:
        """Names of all files in a folder and in those below it, as seen from that folder; sorted."""
        with self._explained(name):
            files = [found.path for found in self._listed(name, deep=True) if found.type == pa.fs.FileType.File]
        return sorted(path.removeprefix(f"{self.path(name)}/") for path in files)

    def ages(self, name: str, now: float) -> dict[str, float]:
        """Names of the files in a folder, with the seconds since each was written."""
        with self._explained(name):
            files = [found for found in self._listed(name) if found.type == pa.fs.FileType.File]
            return {found.base_name: now - found.mtime_ns / 1e9 for found in files}

    def delete(self, name: str) -> None:
        """Delete a file, if it is there."""
        with self._explained(name):
            try:
                self.filesystem.delete_file(self.path(name))
            except FileNotFoundError:
                return

    def delete_folder(self, name: str) -> None:
        """Delete a folder with all that is in it, if it is there."""
        with self._explained(name):
            try:
                self.filesystem.delete_dir(self.path(name))
            except FileNotFoundError:
                return

    def require_space(self, needed: int) -> None:
        """Raise `ResourceError` when a local disk has less than ``needed`` bytes free."""
        if self.local:
            require_space(Path(self._root), needed)

    def _listed(self, name: str, *, deep: bool = False) -> list[pa.fs.FileInfo]:
        listed: list[pa.fs.FileInfo] = self.filesystem.get_file_info(
            pa.fs.FileSelector(self.path(name), allow_not_found=True, recursive=deep)
        )
        return listed

    @contextmanager
    def _appearing(self, name: str) -> Iterator[str]:
        """The path to write a file to, so that it appears under its name when the block ends well."""
        path = self.path(name)
        if not self.local:
            yield path
            return
        target = Path(path)
        _make_folder(target.parent)
        aside = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
        try:
            yield str(aside)
            fsync(aside)
            aside.rename(target)
            fsync(target.parent)
        finally:
            aside.unlink(missing_ok=True)

    @contextmanager
    def _explained(self, name: str) -> Iterator[None]:
        try:
            yield
        except (OSError, pa.ArrowException) as error:
            where = f"{self.shown}/{name}"
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise ResourceError(f"The disk got full copying {where}", "Free space, then do it again") from None
            raise ArtifactError(
                f"{where} cannot be reached: {_without_secrets(str(error))}",
                "Check that the store is there and that its keys, in the environment, allow it",
            ) from None


def _make_folder(folder: Path) -> None:
    """With all above it; durable on return, as is what each of them is named in."""
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        fsync(folder.parent)


def within(place: str, name: str) -> str:
    """What ``name`` in a folder or URI is called; the query of a URI stays at its end."""
    if "://" not in place:
        return f"{place.rstrip('/')}/{name}"
    parts = urlsplit(place)
    return parts._replace(path=f"{parts.path.rstrip('/')}/{name}").geturl()


def shown_uri(uri: str) -> str:
    """A URI without what it may carry besides the place: user, password, query."""
    parts = urlsplit(uri)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _copied(reader: BinaryIO, writer: BinaryIO | None) -> str:
    digest = hashlib.sha256()
    while chunk := reader.read(CHUNK):
        digest.update(chunk)
        if writer is not None:
            writer.write(chunk)
    return digest.hexdigest()


def _without_secrets(text: str) -> str:
    for name in SECRETS:
        if secret := os.environ.get(name):
            text = text.replace(secret, f"${name}")
    return text

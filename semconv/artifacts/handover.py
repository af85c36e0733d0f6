"""What workers write for the driver: into its folder where they see it, and by way of the store where they do not.

Workers are given the path of a folder that the driver has made. One that runs on the driver's node, or shares its disk,
writes there. Any other puts its files to the same place behind the run's URI, from where the driver collects them.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from semconv.artifacts.mirror import origin
from semconv.errors import ResourceError


@contextmanager
def handing_over(folder: Path) -> Iterator[Path]:
    """A folder to write files into that belong in the driver's ``folder``; they are there, or on the way, at the end.

    Raises `ResourceError` on a node that cannot see the folder of a run on a local disk.
    """
    if folder.is_dir():
        yield folder
        return
    if origin(folder) is None:
        raise ResourceError(
            f"The driver's folder {folder} is not on this node",
            "Give --run.root a folder that all nodes share, or a URI such as s3://bucket/runs",
        )
    with TemporaryDirectory() as own:
        yield Path(own)
        upload(Path(own), folder)


def upload(source: Path, folder: Path) -> None:
    """Put the files of ``source`` to where ``folder`` comes from; does nothing where that is in no mirror."""
    files = origin(folder)
    if files is not None:
        for file in sorted(path for path in source.rglob("*") if path.is_file()):
            files.put(file, file.relative_to(source).as_posix())


def collect(folder: Path) -> None:
    """Fetch into a driver's ``folder`` what workers elsewhere have written for it, and remove it there."""
    files = origin(folder)
    if files is not None:
        download(folder)
        files.delete_folder("")


def discard(folder: Path) -> None:
    """Remove a folder here, and what has been uploaded from it."""
    shutil.rmtree(folder, ignore_errors=True)
    files = origin(folder)
    if files is not None:
        files.delete_folder("")


def download(folder: Path) -> None:
    """Fetch all files from where ``folder`` comes from; does nothing where that is in no mirror."""
    files = origin(folder)
    if files is not None:
        for name in files.names():
            files.get(name, folder / name)

"""Mirrors: folders of a node's own disk for runs that lie behind a URI, such as s3://bucket/runs.

    <mirror>/<the URI, escaped>/<run>/<kind>/      a run's artifact, as it would lie on a local disk

The folder's name says what it mirrors. So a path is all that a worker on any node has to be given: it tells where the
files come from, and where to put them.
"""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote, unquote

from semconv.artifacts.store_files import StoreFiles, within
from semconv.errors import SettingError

_SEPARATOR = "~3A~2F~2F"
"""``://``, escaped."""
_LONGEST = 255
"""Characters of a file's name, at most."""


def mirror_of(uri: str, mirror: str | None = None) -> Path:
    """This node's folder for what lies at ``uri``; below ``mirror``, or the user's cache where none is given."""
    name = quote(uri, safe="").replace("~", "%7E").replace("%", "~")
    if len(name) > _LONGEST:
        raise SettingError(f"run.root is too long: {len(name)} characters, escaped", f"Give one of {_LONGEST} or fewer")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "semconv" / "runs"
    return (Path(mirror) if mirror else cache).absolute() / name


def is_mirrored(artifact: Path) -> bool:
    """Whether this is the folder of an artifact in a mirror."""
    return _SEPARATOR in artifact.parent.parent.name and not artifact.name.startswith(".")


def uri_of(path: Path) -> str | None:
    """The URI whose copy ``path`` is; None for a path that is in no mirror."""
    for folder in path.parents:
        if _SEPARATOR in folder.name:
            return within(unquote(folder.name.replace("~", "%")), path.relative_to(folder).as_posix())
    return None


def origin(path: Path) -> StoreFiles | None:
    """The files at the URI whose copy ``path`` is; None for a path that is in no mirror."""
    uri = uri_of(path)
    return None if uri is None else StoreFiles.open(uri)

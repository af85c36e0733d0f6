"""Other snapshots of the same run: one that differs from the first in every list, and damaged ones."""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path

from benchmarks.reversed_snapshot import write_reversed
from semconv.artifacts import TopKSnapshot

__all__ = ["damaged", "truncate", "write_reversed"]


def damaged(snapshot: TopKSnapshot, target: Path, damage: Callable[[Path], object]) -> Path:
    """A version of the snapshot that no node has a copy of, at ``target``, after ``damage`` was done to it."""
    shutil.copytree(snapshot.path, target)
    manifest = json.loads((target / "manifest.json").read_text())
    (target / "manifest.json").write_text(json.dumps(manifest | {"seconds": secrets.randbits(32)}))
    damage(target)
    return target


def truncate(folder: Path) -> None:
    """Cut the last bytes off the first shard."""
    shard = folder / "shards" / "00000.arrow"
    shard.write_bytes(shard.read_bytes()[:-64])

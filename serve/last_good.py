"""What was served last, kept on disk, so that a restart comes up even where what it is asked for is broken."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from pathlib import Path

from pydantic import ValidationError

from semconv.errors import SettingError
from serve.args import Variants

FILE = "last_good.json"
KEPT = 3
"""Versions remembered: the one before the last counts when the last was damaged after it had been good."""


class LastGood:
    """A small file in ``serve.state`` that the replicas of a node share; a lost or damaged one is as good as none."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / FILE

    def read(self) -> list[Variants]:
        """What was served, the latest first; without what this program can no longer read."""
        try:
            entries = json.loads(self._file.read_bytes())
        except (OSError, ValueError):
            return []
        found = []
        for entry in entries if isinstance(entries, list) else []:
            with contextlib.suppress(ValidationError, SettingError):
                found.append(Variants.model_validate(entry))
        return found

    def write(self, served: Variants) -> None:
        """Remember ``served`` before all others; durable on return. Raises OSError where the disk does not take it."""
        known = self.read()
        if known[:1] == [served]:
            return
        entries = [served, *(other for other in known if other.variants != served.variants)][:KEPT]
        self._file.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f".{FILE}.", dir=self._file.parent)
        try:
            with os.fdopen(descriptor, "w") as stream:
                json.dump([entry.as_json() for entry in entries], stream, indent=1)
                stream.flush()
                os.fsync(stream.fileno())
            Path(name).replace(self._file)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        folder = os.open(self._file.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

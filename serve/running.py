"""Where the service of a run runs on this machine, for the commands that change it: kept while it does."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

FILE = "running.json"


class Running(NamedTuple):
    """Base URL of a service, and address and token of the Ray cluster that was started for it."""

    url: str
    address: str
    token: str

    @classmethod
    def read(cls, state: Path) -> Running | None:
        """What `kept` has written to the folder ``state``, if the service is there or was killed; else None."""
        with suppress(OSError, ValueError, TypeError):
            return cls(**json.loads((state / FILE).read_bytes()))
        return None

    @contextmanager
    def kept(self, state: Path) -> Iterator[None]:
        """Keep this in the folder ``state`` for the time of the block; only its owner may read it, for the token."""
        path = state / FILE
        staged = state / f".{FILE}.{os.getpid()}"
        with os.fdopen(os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
            json.dump(self._asdict(), stream)
        staged.replace(path)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)

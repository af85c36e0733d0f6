"""What was shown to whom, for judging experiments: Parquet files, one row per item shown.

Written by a thread of its own from a bounded buffer: an answer never waits for it and never fails by it.
"""

from __future__ import annotations

import hashlib
import logging
import os
import secrets
import threading
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from semconv.errors import ResourceError
from serve.questions import Answer

FLUSH_S = 30.0
"""Longest time that an impression waits in memory; what a killed process had there is lost."""
BUFFERED = 20_000
"""Answers in memory, at most; those beyond are counted as lost. At half of it they are written."""
SCHEMA = pa.schema(
    [
        ("time", pa.timestamp("ns", tz="UTC")),
        ("user", pa.string()),
        ("variant", pa.string()),
        ("source", pa.string()),
        ("snapshot", pa.string()),
        ("model", pa.string()),
        ("position", pa.int32()),
        ("item_id", pa.string()),
        ("score", pa.float32()),
    ]
)
"""``source`` is the rung of the ladder; ``position`` counts from 1."""

_KEY_FILE = ".key"
_log = logging.getLogger(__name__)


class Impressions:
    """The impression log of one process; ``lost`` counts the answers that did not get into it."""

    def __init__(self, folder: Path, log_ids: bool = False) -> None:
        """Start the thread that writes into ``folder``, which several processes may share.

        Users are written as pseudonyms, keyed with a secret of the folder, or as they are with ``log_ids``. Raises
        `ResourceError` where the folder cannot be made.
        """
        self.lost = 0
        self._folder = folder
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._key = None if log_ids else _secret(folder / _KEY_FILE)
        except OSError as error:
            raise ResourceError(
                f"The impression log cannot be written to {folder}: {error}", "Set serve.state to a folder that can be"
            ) from None
        self._shown: deque[tuple[int, str, Answer]] = deque()
        self._wanted = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._work, name="impressions", daemon=True)
        self._thread.start()

    def add(self, user_id: str, answer: Answer) -> None:
        """Note that ``answer`` was given to the user just now: about a microsecond, whatever the disk does."""
        shown = self._shown
        if len(shown) >= BUFFERED:
            self.lost += 1
            return
        shown.append((time.time_ns(), user_id, answer))
        if len(shown) == BUFFERED // 2:
            self._wanted.set()

    def close(self) -> None:
        """Write what is left and end the thread."""
        self._closing = True
        self._wanted.set()
        self._thread.join()

    def _work(self) -> None:
        while not self._closing:
            self._wanted.wait(FLUSH_S)
            self._wanted.clear()
            self._flush()
        self._flush()

    def _flush(self) -> None:
        shown = [self._shown.popleft() for _ in range(len(self._shown))]
        if shown:
            self._write(shown)

    def _write(self, shown: list[tuple[int, str, Answer]]) -> None:
        name = f"{time.time_ns():020}-{os.getpid()}-{secrets.token_hex(4)}.parquet"
        hidden = self._folder / f".{name}"
        try:
            columns = list(zip(*self._rows(shown), strict=True)) or [()] * len(SCHEMA)
            arrays = [pa.array(values, field.type) for values, field in zip(columns, SCHEMA, strict=True)]
            pq.write_table(pa.Table.from_arrays(arrays, schema=SCHEMA), hidden, compression="zstd")
            hidden.rename(self._folder / name)
        except (OSError, ValueError, pa.ArrowException) as error:
            self.lost += len(shown)
            _log.warning("impressions of %d answers are lost: %s", len(shown), error)
            hidden.unlink(missing_ok=True)

    def _rows(self, shown: list[tuple[int, str, Answer]]) -> Iterator[tuple[Any, ...]]:
        for at, user_id, answer in shown:
            versions = answer.versions
            head = (at, self._name(user_id), versions["variant"], answer.rung, versions["snapshot"], versions["model"])
            for position, item in enumerate(answer.items, 1):
                yield *head, position, item["item_id"], item["score"]

    def _name(self, user_id: str) -> str:
        if self._key is None:
            return user_id
        return hashlib.blake2b(user_id.encode("utf-8", "surrogatepass"), digest_size=16, key=self._key).hexdigest()


def _secret(path: Path) -> bytes:
    """The 32 random bytes of ``path``, drawn by whichever process comes first."""
    draft = path.with_name(f"{path.name}-{os.getpid()}-{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(descriptor, secrets.token_bytes(32))
        os.fsync(descriptor)
        os.link(draft, path)  # refused where there is one already
    except FileExistsError:
        pass
    finally:
        os.close(descriptor)
        draft.unlink()
    return path.read_bytes()

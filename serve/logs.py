"""One JSON object a line for what somebody may want to look into: errors, writes, and answers not from the cache.

Lines name the request (``id``, as the client saw it) and never the user, unless `serve.log_ids` asks for it; nor do
they hold messages of unexpected errors, which may quote one.
"""

from __future__ import annotations

import json
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, TextIO

from serve.http import Call, Response

LINES_PER_S = 200
"""Lines written in a second, at most; how many were left out is said in the next one."""


class RequestLog:
    """Writes to ``stream``, None: standard error as it is then; a line that cannot be written fails nothing."""

    def __init__(
        self, *, ids: bool = False, stream: TextIO | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self._ids = ids
        self._stream = stream
        self._clock = clock
        self._second, self._lines, self._left_out = 0, 0, 0

    def answered(self, call: Call, endpoint: str, response: Response, seconds: float) -> None:
        """Tell of an answer, if it is one to tell of."""
        if response.status < 400 and call.method == "GET" and response.source in ("", "cache"):
            return
        level = "error" if response.status >= 500 else "info"
        self._write(level, call, endpoint, status=response.status, source=response.source, ms=round(1000 * seconds, 3))

    def failed(self, call: Call, endpoint: str, error: Exception) -> None:
        """Tell of an error that nobody foresaw: its type and where it came from."""
        where = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)]
        self._write("error", call, endpoint, error=type(error).__qualname__, where=where)
        if self._ids:
            self._write("error", call, endpoint, message=str(error))

    def _write(self, level: str, call: Call, endpoint: str, **more: Any) -> None:
        now = self._clock()
        if int(now) != self._second:
            self._second, self._lines = int(now), 0
        self._lines += 1
        if self._lines > LINES_PER_S:
            self._left_out += 1
            return
        line: dict[str, Any] = {"at": datetime.fromtimestamp(now, UTC).isoformat(), "level": level, "id": call.id}
        line |= {"method": call.method, "endpoint": endpoint, "caller": call.caller, **more}
        if self._ids and call.user_id is not None:
            line["user_id"] = call.user_id
        if self._left_out:
            line["left_out"] = self._left_out
            self._left_out = 0
        with suppress(OSError, ValueError):
            stream = self._stream or sys.stderr
            stream.write(json.dumps(line) + "\n")
            stream.flush()

"""Log lines: what is told, what never is, and that logging cannot fail a request."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from serve.http import Call, Response
from serve.logs import LINES_PER_S, RequestLog


async def nothing() -> dict[str, Any]:
    return {"type": "http.disconnect"}


def call(method: str = "GET") -> Call:
    made = Call({"method": method, "query_string": b"", "headers": []}, nothing, b"/v1/users/ann", "r1", 0.0)
    made.user_id = "ann"
    return made


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


@pytest.mark.parametrize(
    ("method", "response", "level"),
    [
        ("GET", Response(b"", source="cache"), None),
        ("GET", Response(b""), None),
        ("GET", Response(b"", source="live"), "info"),
        ("GET", Response(b"", source="popular"), "info"),
        ("POST", Response(b"", 201), "info"),
        ("GET", Response(b"", 404), "info"),
        ("GET", Response(b"", 503), "error"),
    ],
)
def test_errors_writes_and_answers_not_from_the_cache_are_told(
    method: str, response: Response, level: str | None
) -> None:
    stream = io.StringIO()
    RequestLog(stream=stream).answered(call(method), "/v1/users/{user_id}", response, 0.25)
    if level is None:
        assert not stream.getvalue()
        return
    (line,) = lines(stream)
    assert (line["level"], line["id"], line["status"], line["ms"]) == (level, "r1", response.status, 250.0)
    assert "ann" not in stream.getvalue()


@pytest.mark.parametrize("ids", [False, True])
def test_an_unforeseen_error_is_told_with_its_place_and_without_its_message(ids: bool) -> None:
    stream = io.StringIO()
    try:
        raise KeyError("ann")
    except KeyError as error:
        RequestLog(ids=ids, stream=stream).failed(call(), "/v1/users/{user_id}", error)
    assert lines(stream)[0]["error"] == "KeyError"
    assert "test_logs.py" in lines(stream)[0]["where"][-1]
    assert ("ann" in stream.getvalue()) == ids


def test_a_flood_is_cut_and_how_much_of_it_is_said() -> None:
    stream, now = io.StringIO(), [1000.0]
    log = RequestLog(stream=stream, clock=lambda: now[0])
    for _ in range(LINES_PER_S + 5):
        log.answered(call(), "none", Response(b"", 404), 0.0)
    assert len(lines(stream)) == LINES_PER_S
    now[0] += 1
    log.answered(call(), "none", Response(b"", 404), 0.0)
    assert lines(stream)[-1]["left_out"] == 5


def test_a_stream_that_cannot_be_written_fails_nothing() -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(28, "No space left on device")

    RequestLog(stream=Full()).answered(call(), "none", Response(b"", 500), 0.0)
    closed = io.StringIO()
    closed.close()
    RequestLog(stream=closed).answered(call(), "none", Response(b"", 500), 0.0)

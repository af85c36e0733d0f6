"""The little of ASGI and HTTP that the API needs: a request taken apart, JSON out, errors as RFC 9457 has them."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = Sequence[tuple[bytes, bytes]]

JSON = b"application/json"
PROBLEM = b"application/problem+json"
HTML = b"text/html; charset=utf-8"
BODY_S = 10.0
"""Longest wait for a whole request body; who sends a part and then nothing would keep a request open for ever."""
POLICY_VIOLATION = 1008
"""The WebSocket close code of a connection that nobody here speaks to."""

SANE_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
"""A request's id that is taken over from whoever asks."""

encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
"""JSON text without spaces, made once: `json.dumps` with these arguments makes an encoder each time."""


@dataclass(frozen=True)
class Response:
    """What goes back to the client; ``source`` is the rung of the ladder that an answer came from, if one did."""

    body: bytes
    status: int = 200
    content_type: bytes = JSON
    headers: tuple[tuple[bytes, bytes], ...] = ()
    source: str = ""


def json_response(content: Any, status: int = 200) -> Response:
    """An answer with this JSON."""
    return Response(encode(content).encode(), status)


class ProblemError(Exception):
    """An error the client is told of; ``name`` identifies the kind of problem (RFC 9457 ``type``)."""

    def __init__(
        self,
        status: int,
        name: str,
        title: str,
        detail: str,
        *,
        headers: tuple[tuple[bytes, bytes], ...] = (),
        **more: Any,
    ) -> None:
        super().__init__(title)
        self.status = status
        self.headers = headers
        self.content = {"type": f"urn:semconv:{name}", "title": title, "status": status, "detail": detail, **more}

    def response(self) -> Response:
        """The answer that says so, as application/problem+json; ASCII, for it may quote what is no valid Unicode."""
        return Response(json.dumps(self.content).encode(), self.status, PROBLEM, self.headers)


def unavailable(name: str, title: str, detail: str, retry_s: int = 1) -> ProblemError:
    """A 503 that says when to ask again."""
    return ProblemError(503, name, title, detail, headers=((b"retry-after", str(retry_s).encode()),))


class Call:
    """A request under way. ``id`` is the one that names it in logs, ``segment`` the id in its path, still encoded."""

    __slots__ = ("caller", "headers", "id", "method", "path", "query", "receive", "segment", "started", "user_id")

    def __init__(self, scope: Scope, receive: Receive, path: bytes, identifier: str, started: float) -> None:
        method = scope["method"]
        self.method: str = "GET" if method == "HEAD" else method
        self.path = path
        self.query: bytes = scope["query_string"]
        self.headers: Headers = scope["headers"]
        self.receive = receive
        self.id = identifier
        self.started = started
        self.segment = b""
        self.caller = ""
        self.user_id: str | None = None

    def header(self, name: bytes) -> bytes | None:
        """The header of this lower-case name; None without it, a 400 `ProblemError` where it stands twice."""
        found = [value for known, value in self.headers if known == name]
        if len(found) > 1:
            raise ProblemError(400, "repeated-header", "A header is repeated", f"Send one {name.decode()} header.")
        return found[0] if found else None


def raw_path(scope: Scope) -> bytes:
    """The path as it was sent, percent-encoded, so that an encoded slash stays part of an id; without the mount."""
    path: bytes = scope["raw_path"]
    root: str = scope.get("root_path", "")
    return path.removeprefix(root.encode()) if root else path


async def read_body(call: Call, limit: int) -> bytes:
    """The whole request body.

    Raises a 413 `ProblemError` as soon as it is, or says it is, over ``limit`` bytes, and a 408 one after `BODY_S`.
    """
    try:
        async with asyncio.timeout(BODY_S):
            return await _read(call, limit)
    except TimeoutError:
        raise ProblemError(
            408,
            "body-too-slow",
            "The body did not come in time",
            f"It is waited for {BODY_S:g} s; nothing was accepted.",
            headers=((b"connection", b"close"),),  # the rest of the body may be on its way
        ) from None


async def _read(call: Call, limit: int) -> bytes:
    too_large = ProblemError(413, "body-too-large", "The body is too large", f"At most {limit} bytes are read.")
    announced = call.header(b"content-length")
    if announced is not None and announced.isdigit() and (len(announced) > 18 or int(announced) > limit):
        raise too_large
    parts: list[bytes] = []
    length, more = 0, True
    while more:
        message = await call.receive()
        if message["type"] == "http.disconnect":
            raise ProblemError(400, "incomplete-body", "The body is incomplete", "The client left before it was sent.")
        parts.append(message.get("body", b""))
        length += len(parts[-1])
        if length > limit:
            raise too_large
        more = message.get("more_body", False)
    return b"".join(parts)


async def respond(send: Send, response: Response, request_id: bytes, *, head: bool = False) -> None:
    """Send the response; of an answer to HEAD, the headers alone. An empty ``request_id`` is left out."""
    headers = [
        (b"content-type", response.content_type),
        (b"content-length", b"%d" % len(response.body)),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        *response.headers,
    ]
    if request_id:
        headers.append((b"x-request-id", request_id))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if head else response.body})


async def refuse_other(scope: Scope, receive: Receive, send: Send) -> None:
    """What is no HTTP request: the server's start and stop need nothing done, WebSockets are closed unaccepted."""
    if scope["type"] != "lifespan":
        await send({"type": "websocket.close", "code": POLICY_VIOLATION})
        return
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return

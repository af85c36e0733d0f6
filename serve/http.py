"""The little of ASGI and HTTP that the API needs: bodies in, JSON out, errors as RFC 9457 has them."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

JSON = b"application/json"
PROBLEM = b"application/problem+json"
HTML = b"text/html; charset=utf-8"


@dataclass(frozen=True)
class Response:
    """What goes back to the client."""

    body: bytes
    status: int = 200
    content_type: bytes = JSON
    headers: tuple[tuple[bytes, bytes], ...] = ()


def json_response(content: Any) -> Response:
    """A 200 with this JSON."""
    return Response(json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode())


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
        """The answer that says so, as application/problem+json."""
        return Response(json.dumps(self.content).encode(), self.status, PROBLEM, self.headers)


async def read_body(receive: Receive, limit: int) -> bytes:
    """The whole request body; raises a 413 `ProblemError` as soon as it is longer than ``limit`` bytes."""
    parts: list[bytes] = []
    length, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ProblemError(400, "incomplete-body", "The body is incomplete", "The client left before it was sent.")
        parts.append(message.get("body", b""))
        length += len(parts[-1])
        if length > limit:
            raise ProblemError(413, "body-too-large", "The body is too large", f"At most {limit} bytes are read.")
        more = message.get("more_body", False)
    return b"".join(parts)


async def respond(send: Send, response: Response, *, head: bool = False) -> None:
    """Send the response; of an answer to HEAD, the headers alone."""
    headers = [
        (b"content-type", response.content_type),
        (b"content-length", str(len(response.body)).encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        *response.headers,
    ]
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if head else response.body})


async def lifespan(receive: Receive, send: Send) -> None:
    """Answer the server's start and stop: there is nothing to do at either."""
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return

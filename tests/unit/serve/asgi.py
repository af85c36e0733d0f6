"""Asking an ASGI application in this process, with every byte of the request in the test's hands."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from serve.api import Api

Pair = tuple[str, str]


@dataclass(frozen=True)
class Reply:
    status: int
    headers: list[Pair]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    def header(self, name: str) -> str | None:
        found = [value for known, value in self.headers if known == name]
        assert len(found) < 2, f"{name} stands twice"
        return found[0] if found else None


class Client:
    """``target``, path and query, is sent as it is; ``headers`` may repeat."""

    def __init__(self, api: Api, root_path: str = "") -> None:
        self._api = api
        self._root_path = root_path

    def __call__(
        self,
        method: str,
        target: str,
        *,
        content: Any = None,
        body: bytes | list[bytes] = b"",
        headers: Iterable[Pair] = (),
        host: str | None = "localhost:8000",
    ) -> Reply:
        sent = list(headers)
        if content is not None:
            body = json.dumps(content).encode()
        if body and not any(name == "content-type" for name, _ in sent):
            sent.append(("content-type", "application/json"))
        if host is not None:
            sent.append(("host", host))
        return asyncio.run(self.ask(method, target, body if isinstance(body, list) else [body], sent))

    async def ask(self, method: str, target: str, parts: list[bytes], headers: Iterable[Pair]) -> Reply:
        path, _, query = target.partition("?")
        path = self._root_path + path
        scope = {
            "type": "http",
            "method": method,
            "path": unquote(path),
            "raw_path": path.encode("latin-1"),
            "root_path": self._root_path,
            "query_string": query.encode("latin-1"),
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers],
        }
        unread = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
        unread[-1]["more_body"] = False
        unread.reverse()
        sent: list[MutableMapping[str, Any]] = []

        async def receive() -> MutableMapping[str, Any]:
            return unread.pop() if unread else {"type": "http.disconnect"}

        async def send(message: MutableMapping[str, Any]) -> None:
            sent.append(message)

        await self._api(scope, receive, send)
        start, *rest = sent
        told = [(name.decode(), value.decode()) for name, value in start["headers"]]
        return Reply(start["status"], told, b"".join(message["body"] for message in rest))


def check_problem(reply: Reply, status: int, name: str | None = None) -> dict[str, Any]:
    """That this is a problem document of this status and kind; its content."""
    assert reply.status == status, reply.body
    assert reply.header("content-type") == "application/problem+json"
    problem: dict[str, Any] = reply.json()
    assert problem["status"] == status
    assert problem["type"].startswith("urn:semconv:")
    assert name is None or problem["type"] == f"urn:semconv:{name}", problem
    assert problem["title"]
    assert problem["detail"]
    assert reply.header("x-request-id")
    assert (reply.header("allow") is not None) == (status == 405)
    assert (reply.header("www-authenticate") is not None) == (status == 401)
    assert (reply.header("retry-after") is not None) == (status in {429, 503})
    return problem

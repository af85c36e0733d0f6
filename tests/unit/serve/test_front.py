"""What stands before Ray Serve lets by what the API knows, and the server takes it for what it is."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import uvicorn

from serve.front import KNOWN, KnownHeaders, middlewares

Pairs = list[tuple[bytes, bytes]]


def passed_on(headers: Pairs, kind: str = "http") -> Pairs:
    seen: list[Pairs] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["headers"])

    async def nothing(*_: Any) -> Any:
        raise AssertionError("nothing is read or sent here")

    (middleware,) = middlewares()
    asyncio.run(middleware.cls(app)({"type": kind, "headers": headers}, nothing, nothing))
    return seen[0]


@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_headers_that_serve_would_read_go_no_further(kind: str) -> None:
    known: Pairs = [(name, b"\xff") for name in sorted(KNOWN)]
    names = (
        b"x-request-timeout-seconds",
        b"x-session-id",
        b"serve_multiplexed_model_id",
        b"x-request-disconnect-disabled",
    )
    assert passed_on([*known, *((name, b"1") for name in names), (b"cookie", b"a")], kind) == known


def test_repeated_headers_stay_repeated_so_that_the_api_can_refuse_them() -> None:
    twice: Pairs = [(b"host", b"a"), (b"host", b"b"), (b"idempotency-key", b"1"), (b"idempotency-key", b"2")]
    assert passed_on(twice) == twice


@pytest.mark.parametrize("insane", [b"\xff", b"", b"a b", b"x" * 65, b'"'])
def test_one_sane_request_id_is_let_by(insane: bytes) -> None:
    assert passed_on([(b"x-request-id", insane)]) == []
    ids = [insane, b"trace-1", b"trace-2"]
    assert passed_on([(b"x-request-id", one) for one in ids]) == [(b"x-request-id", b"trace-1")]


def test_the_server_sees_an_asgi_3_application() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None: ...

    config = uvicorn.Config(KnownHeaders(app))
    config.load()
    assert config.interface == "asgi3"

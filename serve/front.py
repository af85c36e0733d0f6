"""What stands before Ray Serve in each process that takes requests: only headers that the API knows go on.

Ray Serve reads some of a client's headers itself (a request's id, timeout, session, model) before the application sees
the request, and answers 500 where one is not UTF-8. RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH names `middlewares`;
Serve puts them outermost.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.middleware import Middleware

from serve.http import SANE_ID, Receive, Scope, Send

KNOWN = frozenset(
    {
        b"authorization",
        b"content-encoding",
        b"content-length",
        b"content-type",
        b"host",
        b"idempotency-key",
        b"x-api-key",
    }
)


class KnownHeaders:
    """Passes requests on with `KNOWN` headers and, if it is sane, the first x-request-id."""

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI scope."""
        if "headers" in scope:
            sent = scope["headers"]
            kept = [pair for pair in sent if pair[0] in KNOWN]
            kept += [pair for pair in sent if pair[0] == b"x-request-id" and SANE_ID.fullmatch(pair[1])][:1]
            scope["headers"] = kept
        await self._app(scope, receive, send)


def middlewares() -> list[Middleware]:
    """What Ray Serve asks for by its import path."""
    return [Middleware(KnownHeaders)]

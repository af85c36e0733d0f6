"""The HTTP API, as a bare ASGI application: what is asked for most, a known user's list, is looked at first.

GET  /v1/users/{user_id}/recommendations?k=     POST /v1/recommendations {"history": [...], "k": 10}
GET  /v1/status    /healthz    /readyz    /openapi.json    /docs
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import parse_qs

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from semconv.config import ServeSettings
from serve.answers import Answer, LiveError, Recommendations
from serve.http import ProblemError, Receive, Response, Scope, Send, json_response, lifespan, read_body, respond
from serve.openapi import docs_page, document

DEFAULT_K = 10
STATUS_S = 1.0
"""Seconds that the status waits for the live model to say that it is there."""
USERS, RECOMMENDATIONS = "/v1/users/", "/recommendations"

Handler = Callable[[Scope, Receive], Awaitable[Response]]


def request_model(k: int, limits: ServeSettings) -> type[BaseModel]:
    """The body of POST /v1/recommendations, with this service's limits in it."""
    item_id = Annotated[str, Field(max_length=limits.max_id_length)]
    history = Field(max_length=limits.max_history, description="item ids, oldest first; unknown ones are ignored")
    wanted = Field(min(DEFAULT_K, k), ge=1, le=k, description="items wanted")
    config = ConfigDict(extra="forbid", strict=True)
    return create_model("HistoryRequest", __config__=config, history=(list[item_id], history), k=(int, wanted))


class Api:
    """Routes requests to the recommendations and puts what they say into JSON."""

    def __init__(
        self, recommendations: Recommendations, live_model: Callable[[], Awaitable[str]], limits: ServeSettings
    ) -> None:
        self._recommendations = recommendations
        self._live_model = live_model
        self._limits = limits
        self._k = recommendations.snapshot.k
        self._request = request_model(self._k, limits)
        openapi = document(self._request, self._k, DEFAULT_K, limits)
        documentation = docs_page(openapi)
        self._routes: dict[str, dict[str, Handler]] = {
            "/v1/recommendations": {"POST": self._for_history},
            "/v1/status": {"GET": self._status},
            "/healthz": {"GET": _always(json_response({"status": "ok"}))},
            "/readyz": {"GET": _always(json_response({"status": "ready"}))},
            "/openapi.json": {"GET": _always(json_response(openapi))},
            "/docs": {"GET": _always(documentation)},
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI scope."""
        if scope["type"] == "lifespan":
            await lifespan(receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1000})
            return
        try:
            response = await self._answer(scope, receive)
        except ProblemError as problem:
            response = problem.response()
        await respond(send, response, head=scope["method"] == "HEAD")

    async def _answer(self, scope: Scope, receive: Receive) -> Response:
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        if path.startswith(USERS) and path.endswith(RECOMMENDATIONS) and len(path) > len(USERS + RECOMMENDATIONS):
            _require_method(method, ["GET"])
            return self._for_user(path[len(USERS) : -len(RECOMMENDATIONS)], scope["query_string"])
        route = self._routes.get(path)
        if route is None:
            raise ProblemError(404, "unknown-path", "There is nothing here", "GET /docs lists what there is.")
        _require_method(method, list(route))
        return await route[method](scope, receive)

    def _for_user(self, user_id: str, query: bytes) -> Response:
        started = time.perf_counter()
        if len(user_id) > self._limits.max_id_length:
            raise ProblemError(
                422, "id-too-long", "The user id is too long", f"At most {self._limits.max_id_length} characters."
            )
        answer = self._recommendations.known(user_id, self._wanted(query))
        if answer is None:
            raise ProblemError(
                404,
                "unknown-user",
                "The user is unknown",
                "No recommendations were computed for this id; POST /v1/recommendations answers for a history.",
            )
        return json_response(_shown(answer, started))

    def _wanted(self, query: bytes) -> int:
        """``k`` from the query string; it may stand there once, and nothing else may."""
        if not query:
            return min(DEFAULT_K, self._k)
        try:
            fields = parse_qs(query.decode("ascii"), keep_blank_values=True, max_num_fields=16)
        except ValueError:
            raise ProblemError(400, "malformed-query", "The query cannot be read", "Give it as ?k=NUMBER.") from None
        if fields.keys() != {"k"} or len(fields["k"]) != 1:
            raise ProblemError(400, "unknown-parameter", "The query holds more than one k", "Give it as ?k=NUMBER.")
        text = fields["k"][0]
        if not (text.isascii() and text.isdigit() and len(text) <= 9 and 1 <= int(text) <= self._k):
            raise ProblemError(422, "k-out-of-range", "k is out of range", f"k is a whole number from 1 to {self._k}.")
        return int(text)

    async def _for_history(self, _scope: Scope, receive: Receive) -> Response:
        started = time.perf_counter()
        body = await read_body(receive, self._limits.max_body_bytes)
        try:
            request: Any = self._request.model_validate_json(body)
        except ValidationError as error:
            raise _invalid(error) from None
        answer = await self._recommendations.for_history(request.history, request.k)
        return json_response(_shown(answer, started) | {"ignored_items": answer.ignored})

    async def _status(self, _scope: Scope, _receive: Receive) -> Response:
        snapshot = self._recommendations.snapshot
        created = datetime.fromisoformat(snapshot.manifest.created)
        try:
            async with asyncio.timeout(STATUS_S):
                live: dict[str, Any] = {"up": True, "model": await self._live_model()}
        except (LiveError, TimeoutError) as error:
            live = {"up": False, "reason": str(error) or f"no answer within {STATUS_S:g} s"}
        content = {
            "versions": {"snapshot": snapshot.fingerprint, **snapshot.manifest.lineage},
            "users": snapshot.n_users,
            "items": snapshot.n_items,
            "k": self._k,
            "created": snapshot.manifest.created,
            "age_s": round((datetime.now(UTC) - created).total_seconds(), 1),
            "live": live,
        }
        return json_response(content)


def _always(response: Response) -> Handler:
    async def handler(_scope: Scope, _receive: Receive) -> Response:
        return response

    return handler


def _require_method(method: str, allowed: list[str]) -> None:
    if method not in allowed:
        listed = ", ".join(allowed + ["HEAD"] * ("GET" in allowed))
        raise ProblemError(
            405,
            "method-not-allowed",
            "The method is not allowed here",
            f"Allowed: {listed}.",
            headers=((b"allow", listed.encode()),),
        )


def _invalid(error: ValidationError) -> ProblemError:
    errors = [{"at": "/".join(map(str, one["loc"])), "problem": one["msg"]} for one in error.errors()[:10]]
    if error.errors()[0]["type"] == "json_invalid":
        return ProblemError(400, "malformed-json", "The body is not JSON", errors[0]["problem"])
    return ProblemError(422, "invalid-request", "The request is not valid", "See 'errors'.", errors=errors)


def _shown(answer: Answer, started: float) -> dict[str, Any]:
    return {
        "source": answer.source,
        "items": answer.items,
        "versions": {"snapshot": answer.snapshot, "model": answer.model},
        "took_ms": round(1000 * (time.perf_counter() - started), 3),
    }

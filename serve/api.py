"""The HTTP API, as a bare ASGI application over a `Service`.

    Api(service, settings, metrics=Metrics(RaySink()), log=RequestLog(ids=settings.log_ids), status_extras=dict)

Each request: Host, route, key and scope, rate, then the handler of its route (`serve/routes_*.py`). Whatever goes
wrong becomes a problem document (RFC 9457) here. ``status_extras()`` is laid over what /v1/status says. Where something
in front writes x-request-id into every answer, as Ray Serve does, ``sends_ids`` is False.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from itertools import count
from typing import Any

from semconv.config import ServeSettings
from serve.bodies import Bodies
from serve.http import (
    SANE_ID,
    Call,
    ProblemError,
    Receive,
    Response,
    Scope,
    Send,
    raw_path,
    refuse_other,
    respond,
    unavailable,
)
from serve.limits import RateLimit
from serve.logs import RequestLog
from serve.metrics import Metrics
from serve.openapi import document
from serve.parameters import Parameters
from serve.prepared import Prepared
from serve.questions import LiveError
from serve.routes import Route, Routes
from serve.routes_about import About, not_ready
from serve.routes_items import Items
from serve.routes_recommend import Recommend
from serve.routes_users import Users
from serve.security import Hosts, Keys, check_scope
from serve.service import Service
from serve.shelf import UnknownItemsError
from serve.store import KeyReusedError, StoreError

NOWHERE = "none"
"""The endpoint, in metrics and logs, of requests that no route is for."""


class Api:
    """One of an ingress replica. Raises `InputError` when the key file cannot be read."""

    def __init__(
        self,
        service: Service,
        settings: ServeSettings,
        *,
        metrics: Metrics,
        log: RequestLog,
        status_extras: Callable[[], Mapping[str, Any]] = dict,
        sends_ids: bool = True,
    ) -> None:
        self._service = service
        self._metrics = metrics
        self._log = log
        self._sends_ids = sends_ids
        self._hosts = Hosts(settings)
        self._keys = Keys(settings.keys)
        self._rate = RateLimit(settings.rate)
        process = os.urandom(6).hex().encode()
        self._ids = (b"%b-%x" % (process, number) for number in count(1))
        parameters = Parameters(settings, lambda: service.k, service.knows_item)
        bodies = Bodies(settings, lambda: service.k)
        prepared = Prepared(service, settings.prepared, told=settings.impressions)
        handlers = (
            Recommend(service, parameters, bodies, prepared),
            Users(service, parameters, bodies),
            Items(service, parameters, bodies),
            About(service, parameters, lambda k: document(bodies, k, settings), status_extras),
        )
        self._routes = Routes(route for handler in handlers for route in handler.routes)
        metrics.watch(lambda: self._gauges(prepared))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI scope."""
        if scope["type"] != "http":
            await refuse_other(scope, receive, send)
            return
        started = time.perf_counter()
        request_id = self._request_id(scope)
        call = Call(scope, receive, raw_path(scope), request_id.decode(), started)
        route: Route | None = None
        try:
            self._hosts.check(call.headers)
            route = self._routes.find(call)
            if route.scope is not None:
                caller = self._keys.caller(call.headers)
                check_scope(caller, route.scope)
                call.caller = caller.name
                self._rate.check(caller.name)
            if self._service.served is None and not route.early:
                raise not_ready()
            response = await route.handler(call)
        except Exception as error:
            response = self._told(call, route, error)
        await respond(send, response, request_id if self._sends_ids else b"", head=scope["method"] == "HEAD")
        seconds = time.perf_counter() - started
        endpoint = route.path if route else NOWHERE
        self._metrics.answered(endpoint, response.source, response.status, seconds)
        self._log.answered(call, endpoint, response, seconds)

    def _told(self, call: Call, route: Route | None, error: Exception) -> Response:
        """What the client is told of an error; of one that nobody foresaw, that there was one."""
        if isinstance(error, ProblemError):
            return error.response()
        if isinstance(error, StoreError):
            problem = unavailable(
                "store-unavailable", "The event store does not answer", "Nothing was accepted; ask again."
            )
        elif isinstance(error, LiveError):
            problem = unavailable("live-unavailable", "The live model does not answer", "There are no reasons now.")
        elif isinstance(error, UnknownItemsError):
            problem = ProblemError(422, "unknown-items", "Items are unknown", "See 'items'.", items=list(error.items))
        elif isinstance(error, KeyReusedError):
            problem = ProblemError(
                422, "idempotency-key-reused", "This Idempotency-Key came with other events before", "Choose a new key."
            )
        else:
            self._log.failed(call, route.path if route else NOWHERE, error)
            problem = ProblemError(500, "internal-error", "Something went wrong", f"The log has it as {call.id}.")
        return problem.response()

    def _request_id(self, scope: Scope) -> bytes:
        for name, value in scope["headers"]:
            if name == b"x-request-id" and SANE_ID.fullmatch(value):
                sent: bytes = value
                return sent
        return next(self._ids)

    def _gauges(self, prepared: Prepared) -> dict[str, float]:
        served = self._service.served
        if served is None:
            return {}
        created = served.main.snapshot.manifest.created
        return {
            "semconv_cache_age_seconds": time.time() - datetime.fromisoformat(created).timestamp(),
            "semconv_live_waiting": self._service.waiting,
            "semconv_prepared_answers": len(prepared),
        }

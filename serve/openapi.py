"""The API described: an OpenAPI 3.1 document of every endpoint, what it takes and all that it may answer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from semconv import __version__
from semconv.config import ServeSettings
from serve.bodies import Bodies
from serve.openapi_schemas import COUNT, TEXT, JSONSchema, array, ref, schemas
from serve.parameters import DEFAULT_K, DEFAULT_LIMIT, MAX_LIMIT
from serve.routes import STATIC
from serve.security import Scope

Operation = dict[str, Any]

DESCRIPTION = (
    "Recommendations, precached and live. GET answers HEAD too. Every answer has an x-request-id: the one that was "
    "sent, if it is 1 to 64 of [A-Za-z0-9._-]. Errors are RFC 9457 problem documents. Keys, where the service asks for "
    "them, have scopes: an operation's description names the one it needs."
)
PROBLEMS = {
    400: "the request cannot be read: query, path, JSON, a repeated header or parameter",
    401: "a known API key is needed",
    403: "the key lacks the scope",
    404: "the user or item is unknown",
    408: "the body did not come in time",
    413: "the body is too large",
    414: "the query is too long",
    415: "the body is not application/json",
    421: "the Host header names another service",
    422: "the request can be read and is not valid",
    429: "too many requests with this key",
    500: "something that nobody foresaw; the log has it under the request's id",
    503: "not now: nothing is served yet, the event store does not accept writes, or the live model gives no reasons",
}
ANY, SECURED, WITH_BODY = (400, 421, 500), (401, 403, 414, 429, 503), (408, 413, 415, 422)


def document(bodies: Bodies, k: int, limits: ServeSettings) -> dict[str, Any]:
    """The document of a service with these limits; ``k`` is the most items it gives."""
    words = {"type": "string", "maxLength": limits.max_wish}
    identifier = {"type": "string", "minLength": 1, "maxLength": limits.max_id_length}
    user, item = _in_path("user_id", identifier), _in_path("item_id", identifier)
    asked = {"type": "integer", "minimum": 1, "maximum": k, "default": min(DEFAULT_K, k)}
    limit = _in_query("limit", "entries, at most", _up_to(MAX_LIMIT, DEFAULT_LIMIT))
    wish = _in_query("wish", "what is wished for, in words", words)
    wanted = (
        _in_query("k", "items wanted", asked),
        _in_query("exclude", "items to leave out; repeated, or separated by commas", array(TEXT)),
        _in_query("category", "a category that every item must have", words),
        _in_query("brand", "the brand that every item must have", words),
        wish,
    )
    reasons_of = _in_query(
        "item", "items to explain", array(identifier) | {"minItems": 1, "maxItems": k}, required=True
    )
    once = {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "the same key again stores nothing again",
        "schema": {"type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[!-~]+$"},
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "semconv", "version": __version__, "description": DESCRIPTION},
        "paths": {
            "/v1/users/{user_id}/recommendations": {
                "get": _operation("The user's best items", "Answer", "read", (user, *wanted), problems=(404, 422))
            },
            "/v1/recommendations": {
                "post": _operation("The best items after a history", "Answer", "read", body="HistoryRequest")
            },
            "/v1/users": {
                "get": _operation(
                    "Known users whose ids begin alike",
                    "Users",
                    "read",
                    (_in_query("prefix", "how the ids begin", words), limit),
                    problems=(422,),
                )
            },
            "/v1/users/{user_id}": {
                "get": _operation("A user's history", "User", "read", (user,), problems=(404, 422)),
                "delete": _operation("Erase all that is known of a user", "Erased", "admin", (user,), problems=(422,)),
            },
            "/v1/users/{user_id}/reasons": {
                "get": _operation(
                    "Why items would be recommended to a user",
                    "Reasons",
                    "read",
                    (user, reasons_of, wish),
                    problems=(404, 422),
                )
            },
            "/v1/reasons": {
                "post": _operation(
                    "Why items would be recommended after a history", "Reasons", "read", body="ReasonsRequest"
                )
            },
            "/v1/events": {
                "post": _operation(
                    "Something a user did, or several such; durable once answered",
                    "Accepted",
                    "events",
                    (once,),
                    body=("Event", "Events"),
                    status=201,
                )
            },
            "/v1/items": {
                "get": _operation(
                    "Items that words speak of",
                    "Found",
                    "read",
                    (
                        _in_query(
                            "query",
                            "words of the title, the brand, a category",
                            words | {"minLength": 1},
                            required=True,
                        ),
                        limit,
                    ),
                    problems=(422,),
                )
            },
            "/v1/items/{item_id}": {
                "get": _operation("One item", "Item", "read", (item,), problems=(404, 422)),
                "put": _operation("Say something new of an item", "Item", "admin", (item,), body="ItemRequest"),
                "delete": _operation("Take an item out", "ItemDeleted", "admin", (item,), problems=(404, 422)),
            },
            "/v1/items/{item_id}/similar": {
                "get": _operation(
                    "An item's neighbours",
                    "Answer",
                    "read",
                    (item, _in_query("k", "neighbours, at most", _up_to(MAX_LIMIT, DEFAULT_K))),
                    problems=(404, 422),
                )
            },
            "/v1/status": {"get": _operation("What is served", "Status", "read")},
            "/healthz": {"get": _operation("Whether the process answers", "Health", None)},
            "/readyz": {"get": _operation("Whether it can answer known users", "Health", None, problems=(503,))},
            "/openapi.json": {"get": _operation("This document", None, None, problems=(503,))},
            "/docs": {"get": _file("This document as a page", ["text/html"], problems=(503,))},
            "/": {"get": _file("The web page", ["text/html"])},
            STATIC: {
                "get": _file(
                    "The web page's files",
                    ["text/css", "text/javascript", "image/svg+xml"],
                    (_in_path("file", TEXT | {"pattern": "^[a-z]+[.][a-z]+$"}),),
                    problems=(404,),
                )
            },
        },
        "components": {
            "schemas": schemas(bodies, k),
            "responses": {f"Problem{status}": _problem(status) for status in PROBLEMS},
            "headers": {"RequestId": {"description": "names this request in the logs", "schema": TEXT}},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            },
        },
    }


def _operation(
    summary: str,
    answer: str | None,
    scope: Scope | None,
    parameters: Iterable[JSONSchema] = (),
    *,
    body: str | tuple[str, ...] = (),
    problems: tuple[int, ...] = (),
    status: int = 200,
) -> Operation:
    content = {"application/json": {"schema": ref(answer) if answer else {"type": "object"}}}
    told = {*ANY, *problems, *(SECURED if scope else ()), *(WITH_BODY if body else ())}
    operation: Operation = {
        "summary": summary,
        "description": f"Needs the scope '{scope}' where keys are asked for." if scope else "Asks for no key.",
        "security": [{"bearer": []}, {"key": []}, {}] if scope else [],
        "parameters": list(parameters),
        "responses": {
            str(status): {
                "description": "done" if status == 201 else "the answer",
                "headers": {"x-request-id": {"$ref": "#/components/headers/RequestId"}},
                "content": content,
            },
            **{str(one): {"$ref": f"#/components/responses/Problem{one}"} for one in sorted(told)},
        },
    }
    if body:
        one_of = [ref(body)] if isinstance(body, str) else [ref(name) for name in body]
        schema = one_of[0] if len(one_of) == 1 else {"anyOf": one_of}
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return operation


def _file(
    summary: str, kinds: list[str], parameters: Iterable[JSONSchema] = (), *, problems: tuple[int, ...] = ()
) -> Operation:
    operation = _operation(summary, None, None, parameters, problems=problems)
    operation["responses"]["200"]["content"] = {kind: {"schema": TEXT} for kind in kinds}
    return operation


def _problem(status: int) -> dict[str, Any]:
    described: dict[str, Any] = {
        "description": PROBLEMS[status],
        "content": {"application/problem+json": {"schema": ref("Problem")}},
    }
    if status in (429, 503):
        described["headers"] = {"Retry-After": {"description": "seconds", "schema": COUNT}}
    if status == 401:
        described["headers"] = {"WWW-Authenticate": {"schema": TEXT}}
    return described


def _in_path(name: str, schema: JSONSchema) -> JSONSchema:
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _in_query(name: str, description: str, schema: JSONSchema, *, required: bool = False) -> JSONSchema:
    return {"name": name, "in": "query", "description": description, "required": required, "schema": schema}


def _up_to(most: int, default: int) -> JSONSchema:
    return {"type": "integer", "minimum": 1, "maximum": most, "default": default}

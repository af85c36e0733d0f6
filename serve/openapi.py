"""The API described: an OpenAPI 3.1 document, and a page that shows it without asking any other server."""

from __future__ import annotations

from html import escape
from typing import Any

from pydantic import BaseModel

from semconv import __version__
from semconv.config import ServeSettings
from serve.http import HTML, Response

_ITEM = {
    "type": "object",
    "required": ["item_id", "title", "score"],
    "properties": {
        "item_id": {"type": "string"},
        "title": {"type": ["string", "null"]},
        "score": {"type": "number", "description": "comparable within one answer; higher is better"},
    },
}
_ANSWER = {
    "type": "object",
    "required": ["source", "items", "versions", "took_ms"],
    "properties": {
        "source": {"enum": ["cache", "live", "fallback"]},
        "items": {"type": "array", "items": {"$ref": "#/components/schemas/Item"}},
        "versions": {
            "type": "object",
            "description": "fingerprints; the model's is null where none took part",
            "properties": {"snapshot": {"type": "string"}, "model": {"type": ["string", "null"]}},
        },
        "took_ms": {"type": "number"},
        "ignored_items": {"type": "integer", "description": "history ids that the catalogue does not hold"},
    },
}
_PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {"type": "array", "items": {"type": "object"}},
    },
}


def _json(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _problem(description: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": description, "content": {"application/problem+json": {"schema": schema}}}


def _plain(summary: str, description: str) -> dict[str, Any]:
    return {"get": {"summary": summary, "responses": {"200": _json(description, {"type": "object"})}}}


def document(request: type[BaseModel], k: int, default_k: int, limits: ServeSettings) -> dict[str, Any]:
    """The OpenAPI document of a service with these limits; ``k`` is the most items it gives."""
    answer = {"$ref": "#/components/schemas/Answer"}
    user = {
        "name": "user_id",
        "in": "path",
        "required": True,
        "schema": {"type": "string", "minLength": 1, "maxLength": limits.max_id_length},
    }
    wanted = {
        "name": "k",
        "in": "query",
        "schema": {"type": "integer", "minimum": 1, "maximum": k, "default": min(default_k, k)},
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "semconv", "version": __version__, "description": "Recommendations, precached and live."},
        "paths": {
            "/v1/users/{user_id}/recommendations": {
                "get": {
                    "summary": "A known user's best items, from the snapshot",
                    "parameters": [user, wanted],
                    "responses": {
                        "200": _json("the list, source 'cache'", answer),
                        "400": _problem("the query cannot be read"),
                        "404": _problem("the user is unknown"),
                        "422": _problem("k or the id is out of range"),
                    },
                }
            },
            "/v1/recommendations": {
                "post": {
                    "summary": "The best items after a history, from the live model",
                    "requestBody": {
                        "required": True,
                        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/HistoryRequest"}}},
                    },
                    "responses": {
                        "200": _json("the list, source 'live' or 'fallback'", answer),
                        "400": _problem("the body is not JSON"),
                        "413": _problem("the body is too large"),
                        "422": _problem("the body is not what it should be"),
                    },
                }
            },
            "/v1/status": _plain("Versions, counts, age, and whether the live model answers", "the status"),
            "/healthz": _plain("Whether the process answers", "it does"),
            "/readyz": _plain("Whether it can answer known users", "it can"),
        },
        "components": {
            "schemas": {
                "Item": _ITEM,
                "Answer": _ANSWER,
                "Problem": _PROBLEM,
                "HistoryRequest": request.model_json_schema(),
            }
        },
    }


def docs_page(openapi: dict[str, Any]) -> Response:
    """The document as one HTML page that loads nothing."""
    rows = []
    for path, methods in openapi["paths"].items():
        for method, operation in methods.items():
            outcomes = "".join(
                f"<li>{escape(status)}: {escape(outcome['description'])}</li>"
                for status, outcome in operation["responses"].items()
            )
            rows.append(
                f"<section><h2>{escape(method.upper())} <code>{escape(path)}</code></h2>"
                f"<p>{escape(operation['summary'])}</p><ul>{outcomes}</ul></section>"
            )
    page = (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>semconv API</title>'
        "<style>body{font:16px/1.5 system-ui,sans-serif;max-width:45rem;margin:2rem auto;padding:0 1rem}"
        "h2{font-size:1.1rem;margin:1.5rem 0 0}</style><h1>semconv API</h1>"
        '<p>The machine-readable description is <a href="openapi.json">openapi.json</a> (OpenAPI 3.1).</p>'
        + "".join(rows)
    )
    policy = b"default-src 'none'; style-src 'unsafe-inline'"
    return Response(page.encode(), content_type=HTML, headers=((b"content-security-policy", policy),))

"""The OpenAPI document as one HTML page that loads nothing and runs nothing."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from html import escape
from typing import Any

from serve.http import HTML, Response

STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:50rem;margin:2rem auto;padding:0 1rem}"
    "h2{font-size:1.1rem;margin:2rem 0 0}table{border-collapse:collapse}td,th{text-align:left;padding:0 1rem 0 0;"
    "vertical-align:top}pre{overflow:auto;background:#8882;padding:.5rem}:root{color-scheme:light dark}"
)
_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest())
POLICY = (
    b"default-src 'none'; style-src 'sha256-%b'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'" % _HASH
)


def docs_page(document: dict[str, Any]) -> Response:
    """The page; its style is allowed by its digest."""
    operations = "".join(
        _operation(path, method, operation, document)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    )
    shapes = "".join(
        f'<h2 id="{escape(name)}">{escape(name)}</h2><pre>{_shown(schema)}</pre>'
        for name, schema in document["components"]["schemas"].items()
    )
    page = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>semconv API</title><style>{STYLE}</style>'
        f"<h1>semconv API</h1><p>{escape(document['info']['description'])}</p>"
        '<p>For programs: <a href="openapi.json">openapi.json</a> (OpenAPI 3.1).</p>'
        f"<main>{operations}<h1>Shapes</h1>{shapes}</main></html>"
    )
    return Response(page.encode(), content_type=HTML, headers=((b"content-security-policy", POLICY),))


def _operation(path: str, method: str, operation: dict[str, Any], document: dict[str, Any]) -> str:
    parameters = "".join(
        f"<tr><th scope=row><code>{escape(one['name'])}</code><td>{escape(one['in'])}"
        f"<td>{escape(one.get('description', ''))}<td>{'required' if one.get('required') else ''}"
        for one in operation["parameters"]
    )
    outcomes = "".join(
        f"<tr><th scope=row>{escape(status)}"
        f"<td>{escape(_resolved(outcome, document)['description'])}<td>{_links(outcome)}"
        for status, outcome in operation["responses"].items()
    )
    return (
        f"<section><h2>{escape(method.upper())} <code>{escape(path)}</code></h2>"
        f"<p>{escape(operation['summary'])}. {escape(operation['description'])}"
        f" {_links(operation.get('requestBody'))}</p>"
        f"<table>{parameters}</table><table>{outcomes}</table></section>"
    )


def _resolved(outcome: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in outcome:
        return outcome
    found: dict[str, Any] = document["components"]["responses"][outcome["$ref"].rpartition("/")[2]]
    return found


def _links(content: Any) -> str:
    names = dict.fromkeys(_schemas(content))
    return " or ".join(f'<a href="#{escape(name)}">{escape(name)}</a>' for name in names)


def _schemas(content: Any) -> Iterator[str]:
    if isinstance(content, dict):
        target = content.get("$ref")
        if isinstance(target, str) and target.startswith("#/components/schemas/"):
            yield target.rpartition("/")[2]
        content = list(content.values())
    if isinstance(content, list):
        for part in content:
            yield from _schemas(part)


def _shown(schema: dict[str, Any]) -> str:
    example = json.dumps(schema["examples"][0], ensure_ascii=False, indent=2)
    rest = json.dumps(
        {name: value for name, value in schema.items() if name != "examples"}, ensure_ascii=False, indent=2
    )
    return escape(f"{example}\n\n{rest}")

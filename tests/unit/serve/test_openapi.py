"""The API's description: valid, complete, true of what the API answers, and its page asks nobody else for anything."""

from __future__ import annotations

import base64
import hashlib
import re
from html import escape
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from openapi_spec_validator import validate

from tests.unit.artifacts.shop_snapshot import K
from tests.unit.serve.asgi import Reply
from tests.unit.serve.shop_api import LIMITS, Shop, open_shop


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return open_shop(tmp_path)


@pytest.fixture
def document(shop: Shop) -> dict[str, Any]:
    found: dict[str, Any] = shop.call("GET", "/openapi.json").json()
    return found


def operations(document: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (method.upper(), path): operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def check(document: dict[str, Any], schema: dict[str, Any], content: Any) -> None:
    """That the content is what a schema of the document says."""
    whole = {"$schema": "https://json-schema.org/draft/2020-12/schema", "components": document["components"]}
    jsonschema.Draft202012Validator(whole | schema).validate(content)


def check_reply(document: dict[str, Any], method: str, path: str, reply: Reply) -> None:
    """That this answer is among those that the document foresees."""
    told = operations(document)[method, path]["responses"]
    assert str(reply.status) in told, (method, path, reply.status)
    said = told[str(reply.status)]
    if "$ref" in said:
        said = document["components"]["responses"][said["$ref"].rpartition("/")[2]]
    kind = (reply.header("content-type") or "").partition(";")[0]
    assert kind in said["content"], (method, path, kind)
    if kind.endswith("json"):
        check(document, said["content"][kind]["schema"], reply.json())


def test_the_document_is_valid_openapi(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    validate(document)


def test_it_lists_exactly_what_the_api_routes(shop: Shop, document: dict[str, Any]) -> None:
    methods = ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS")
    known = operations(document)
    for path in document["paths"]:
        target = path.replace("{file}", "app.js").replace("{user_id}", "user%201").replace("{item_id}", "apple")
        allowed = {method for method in methods if shop.call(method, target, content={}).status != 405}
        assert allowed == {method for method, listed in known if listed == path}


def test_every_example_is_what_its_schema_says(document: dict[str, Any]) -> None:
    for name, schema in document["components"]["schemas"].items():
        assert schema["examples"], name
        for example in schema["examples"]:
            check(document, schema, example)


def test_limits_are_this_service_s(document: dict[str, Any]) -> None:
    history = document["components"]["schemas"]["HistoryRequest"]["properties"]
    assert history["history"]["maxItems"] == LIMITS.max_history
    assert history["history"]["items"]["maxLength"] == LIMITS.max_id_length
    assert history["k"]["anyOf"][0]["maximum"] == K
    parameters = document["paths"]["/v1/users/{user_id}/recommendations"]["get"]["parameters"]
    (k,) = [one["schema"] for one in parameters if one["name"] == "k"]
    assert k == {"type": "integer", "minimum": 1, "maximum": K, "default": K}


@pytest.mark.parametrize(
    ("method", "path", "target", "content"),
    [
        ("GET", "/v1/users/{user_id}/recommendations", "/v1/users/user%203/recommendations?k=2", None),
        ("GET", "/v1/users/{user_id}/recommendations", "/v1/users/nobody/recommendations", None),
        ("GET", "/v1/users/{user_id}/recommendations", "/v1/users/a/recommendations?k=0", None),
        ("POST", "/v1/recommendations", "/v1/recommendations", {"history": ["apple"]}),
        ("POST", "/v1/recommendations", "/v1/recommendations", {"history": 1}),
        ("GET", "/v1/users", "/v1/users?prefix=u", None),
        ("GET", "/v1/users/{user_id}", "/v1/users/user%203", None),
        ("DELETE", "/v1/users/{user_id}", "/v1/users/user%203", None),
        ("GET", "/v1/users/{user_id}/reasons", "/v1/users/user%203/reasons?item=apple", None),
        ("POST", "/v1/reasons", "/v1/reasons", {"history": ["zebra"], "items": ["apple"]}),
        ("POST", "/v1/events", "/v1/events", {"user_id": "a", "item_id": "apple"}),
        ("POST", "/v1/events", "/v1/events", {"user_id": "a", "item_id": "nowhere"}),
        ("GET", "/v1/items", "/v1/items?query=fruit", None),
        ("GET", "/v1/items/{item_id}", "/v1/items/apple", None),
        ("PUT", "/v1/items/{item_id}", "/v1/items/new", {"title": "New"}),
        ("DELETE", "/v1/items/{item_id}", "/v1/items/apple", None),
        ("DELETE", "/v1/items/{item_id}", "/v1/items/nowhere", None),
        ("GET", "/v1/items/{item_id}/similar", "/v1/items/zebra/similar", None),
        ("GET", "/v1/status", "/v1/status", None),
        ("GET", "/healthz", "/healthz", None),
        ("GET", "/readyz", "/readyz", None),
        ("GET", "/openapi.json", "/openapi.json", None),
        ("GET", "/docs", "/docs", None),
        ("GET", "/", "/", None),
        ("GET", "/page/{file}", "/page/style.css", None),
        ("GET", "/page/{file}", "/page/nowhere", None),
    ],
)
def test_answers_are_what_it_says(
    shop: Shop, document: dict[str, Any], method: str, path: str, target: str, content: Any
) -> None:
    check_reply(document, method, path, shop.call(method, target, content=content))


def test_the_page_loads_and_runs_nothing_and_shows_every_operation(shop: Shop, document: dict[str, Any]) -> None:
    page = shop.call("GET", "/docs")
    text = page.body.decode()
    for (method, path), operation in operations(document).items():
        assert f"{method} <code>{path}</code>" in text
        assert escape(operation["summary"]) in text
    assert not re.search(r"<script|<img|<link|@import|url\(|src=|https?://(?!json-schema)", text)
    (style,) = re.findall("<style>(.*?)</style>", text)
    allowed = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = page.header("content-security-policy") or ""
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{allowed}'")
    assert "unsafe" not in policy
    for target in re.findall('href="#([^"]+)"', text):
        assert f'id="{target}"' in text

"""The shapes of requests and answers, in JSON Schema as OpenAPI 3.1 has it, each with an example."""

from __future__ import annotations

from typing import Any

from serve.bodies import Bodies

JSONSchema = dict[str, Any]

TEXT: JSONSchema = {"type": "string"}
MAYBE_TEXT: JSONSchema = {"type": ["string", "null"]}
NUMBER: JSONSchema = {"type": "number"}
COUNT: JSONSchema = {"type": "integer", "minimum": 0}
YES_OR_NO: JSONSchema = {"type": "boolean"}
WITH_TITLE = {"item_id": TEXT, "title": MAYBE_TEXT}


def ref(name: str) -> JSONSchema:
    """A reference to a schema of `schemas`."""
    return {"$ref": f"#/components/schemas/{name}"}


def array(of: JSONSchema) -> JSONSchema:
    """A list."""
    return {"type": "array", "items": of}


def shape(properties: JSONSchema, *, optional: JSONSchema | None = None, example: Any = None) -> JSONSchema:
    """An object that has all of ``properties`` and may have those of ``optional``."""
    content = {"type": "object", "required": list(properties), "properties": properties | (optional or {})}
    return content if example is None else content | {"examples": [example]}


_ITEM = {"item_id": "B00A", "title": "Rose soap"}
_KNOWN = {"brand": "Rosa", "categories": ["Beauty", "Soap"], "available": True}
_VERSIONS = {"snapshot": "348033c9", "model": "d7b01e40", "variant": "main"}
_REASON = {
    **_ITEM,
    "score": -2.15,
    "sources": [{"source": "generative", "contribution": 0.7}],
    "history": [{"item_id": "B00C", "title": "Lavender soap", "contribution": 0.4}],
    "prefix": {"codes": [3, 17], "item_id": "B00C", "title": "Lavender soap"},
    "wish": None,
}


def _answers() -> dict[str, JSONSchema]:
    fallback = {"enum": ["collaborative", "popular"], "description": "which list, where the source is 'fallback'"}
    contribution = {"type": "number", "description": "nats: +0.69 says twice as likely with this as without"}
    prefix = shape({"codes": array({"type": "integer"}), **WITH_TITLE})
    brand = {"brand": MAYBE_TEXT, "categories": array(TEXT), "available": YES_OR_NO}
    return {
        "Scored": shape(
            {
                **WITH_TITLE,
                "score": {"type": "number", "description": "comparable within one answer; higher is better"},
            },
            example={**_ITEM, "score": -2.15},
        ),
        "Answer": shape(
            {
                "source": {"enum": ["cache", "live", "fallback"]},
                "items": array(ref("Scored")),
                "versions": shape(
                    {
                        "snapshot": TEXT,
                        "model": {**MAYBE_TEXT, "description": "null where none took part"},
                        "variant": TEXT,
                    }
                ),
                "took_ms": NUMBER,
            },
            optional={
                "fallback": fallback,
                "ignored_items": {**COUNT, "description": "ids of the history that the catalogue does not hold"},
            },
            example={"source": "cache", "items": [{**_ITEM, "score": -2.15}], "versions": _VERSIONS, "took_ms": 0.03},
        ),
        "Users": shape({"users": array(TEXT)}, example={"users": ["ann", "anton"]}),
        "User": shape(
            {
                "user_id": TEXT,
                "history": array(shape(WITH_TITLE)),
                "new_events": {**COUNT, "description": "events that the snapshot does not know"},
            },
            example={"user_id": "ann", "history": [_ITEM], "new_events": 1},
        ),
        "Erased": shape(
            {"user_id": TEXT, "erased": {"const": True}, "events": COUNT},
            example={"user_id": "ann", "erased": True, "events": 3},
        ),
        "Reasons": shape(
            {
                "reasons": array(
                    shape(
                        {
                            **WITH_TITLE,
                            "score": NUMBER,
                            "sources": array(shape({"source": TEXT, "contribution": contribution})),
                            "history": array(shape({**WITH_TITLE, "contribution": contribution})),
                            "prefix": {"anyOf": [prefix, {"type": "null"}]},
                            "wish": {"type": ["object", "null"], "additionalProperties": NUMBER},
                        }
                    )
                )
            },
            example={"reasons": [_REASON]},
        ),
        "Accepted": shape(
            {
                "accepted": {**COUNT, "description": "events stored now"},
                "repeated": {
                    **YES_OR_NO,
                    "description": "the idempotency key was seen before; nothing was stored again",
                },
            },
            example={"accepted": 1, "repeated": False},
        ),
        "Item": shape(
            {
                **WITH_TITLE,
                **brand,
                "codes": {"anyOf": [array({"type": "integer"}), {"type": "null"}]},
                "recommendable": {**YES_OR_NO, "description": "false: not to be had, or unknown to the model"},
            },
            example={**_ITEM, **_KNOWN, "codes": [3, 17, 5, 0], "recommendable": True},
        ),
        "Found": shape({"items": array(shape({**WITH_TITLE, **brand}))}, example={"items": [{**_ITEM, **_KNOWN}]}),
        "ItemDeleted": shape(
            {"item_id": TEXT, "deleted": {"const": True}}, example={"item_id": "B00A", "deleted": True}
        ),
        "Status": {
            "type": "object",
            "description": "Versions, counts, age, the live model, the event log, and the last refused swap",
            "required": ["served"],
            "properties": {"served": YES_OR_NO},
            "examples": [{"served": True, "users": 22363, "items": 12101, "k": 50, "age_s": 3600.0}],
        },
        "Health": shape({"status": {"enum": ["ok", "ready"]}}, example={"status": "ok"}),
        "Problem": shape(
            {
                "type": {**TEXT, "description": "urn:semconv: and a name that stays"},
                "title": TEXT,
                "status": COUNT,
                "detail": TEXT,
            },
            optional={"errors": array(shape({"at": TEXT, "problem": TEXT})), "items": array(TEXT)},
            example={
                "type": "urn:semconv:unknown-user",
                "title": "The user is unknown",
                "status": 404,
                "detail": "Nothing is known of this id; POST /v1/recommendations answers for a history.",
            },
        ),
    }


def _requests(bodies: Bodies, k: int) -> dict[str, JSONSchema]:
    examples: dict[str, Any] = {
        "HistoryRequest": {
            "history": ["B00C", "B00D"],
            "k": min(5, k),
            "brand": "Rosa",
            "wish": "something for dry skin",
        },
        "ReasonsRequest": {"history": ["B00C"], "items": ["B00A"]},
        "Event": {"user_id": "ann", "item_id": "B00A", "timestamp": "2026-01-31T12:00:00Z"},
        "Events": {"events": [{"user_id": "ann", "item_id": "B00A"}, {"user_id": "bob", "item_id": "B00C"}]},
        "ItemRequest": {"available": False},
    }
    found = {}
    for model in (bodies.history, bodies.reasons, bodies.event, bodies.events, bodies.item):
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        schema.pop("$defs", None)
        found[model.__name__] = schema | {"examples": [examples[model.__name__]]}
    found["HistoryRequest"]["properties"]["k"]["anyOf"][0]["maximum"] = k
    found["ReasonsRequest"]["properties"]["items"]["maxItems"] = k
    return found


def schemas(bodies: Bodies, k: int) -> dict[str, JSONSchema]:
    """Every schema by its name; ``k`` is the most items that can be asked for."""
    return _answers() | _requests(bodies, k)

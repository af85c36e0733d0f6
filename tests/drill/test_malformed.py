"""1,000 requests out of the API's own description, what fits it and what does not, and the hostile ones, to one API.

No answer is a 5xx or other than described, nobody gets another's list, and every accepted event is in the log.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path
from typing import Any
from urllib.parse import quote

import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import Case, GenerationMode, Response
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.unit.artifacts.shop_snapshot import CATALOGUE, answer
from tests.unit.serve.hostile import EVERY
from tests.unit.serve.shop_api import LIMITS, USERS, Shop, open_shop
from tests.unit.serve.test_hostile_requests import ask

REQUESTS = 1000
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


def asked(shop: Shop) -> Iterator[tuple[Any, GenerationMode]]:
    """Every operation with what fits it, and with what does not where it takes anything."""
    for found in schemathesis.openapi.from_asgi("/openapi.json", shop.api).get_all_operations():
        operation = found.ok()
        yield operation, GenerationMode.POSITIVE
        if operation.definition.raw["parameters"] or "requestBody" in operation.definition.raw:
            yield operation, GenerationMode.NEGATIVE


def send(operation: Any, mode: GenerationMode, requests: int, answered: Callable[[Case, Response], None]) -> None:
    """Send so many requests, and check each answer against the description."""

    @seed(7)
    @settings(
        max_examples=requests,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def one(case: Case) -> None:
        response = case.call()
        case.validate_response(response, checks=CHECKS)
        answered(case, response)

    one()


def check_list(shop: Shop, number: int) -> None:
    """That a user's list from the snapshot holds their own scores of their own items and no other."""
    reply = shop.call("GET", f"/v1/users/{quote(USERS[number], safe='')}/recommendations")
    assert reply.status in (200, 404), reply.body
    if reply.status == 200 and reply.json()["source"] == "cache" and not shop.store.events_of(USERS[number]):
        items, scores = answer(number)
        own = dict(zip((CATALOGUE[item] for item in items), scores, strict=True))
        listed = {item["item_id"]: item["score"] for item in reply.json()["items"]}
        assert listed.items() <= own.items(), USERS[number]


def test_a_thousand_malformed_requests_break_nothing(tmp_path: Path) -> None:
    shop = open_shop(tmp_path, LIMITS.model_copy(update={"hosts": ("testserver",)}))
    numbers = cycle(range(len(USERS)))
    statuses: Counter[int] = Counter()
    events = 0

    def answered(case: Case, response: Response) -> None:
        nonlocal events
        statuses[response.status_code] += 1
        if response.status_code == 201:
            events += response.json()["accepted"]
        if response.status_code == 200 and case.operation.label == "DELETE /v1/users/{user_id}":
            events -= response.json()["events"]
        guest = {"user_id": f"guest {statuses.total()}", "item_id": CATALOGUE[statuses.total() % 3]}
        assert shop.call("POST", "/v1/events", content=guest).json() == {"accepted": 1, "repeated": False}
        events += 1
        check_list(shop, next(numbers))

    operations = list(asked(shop))
    while statuses.total() < REQUESTS:
        missing = REQUESTS - statuses.total()
        for operation, mode in operations:
            send(operation, mode, math.ceil(missing / len(operations)), answered)
    print(f"by status: {dict(statuses)}; events: {events}")
    for hostile in EVERY:
        assert ask(shop, hostile).status < 500, hostile
        check_list(shop, next(numbers))

    assert sum(change.event is not None for change in shop.store.changes(0, 1_000_000)) == events
    assert {200, 400, 404, 422} <= statuses.keys(), statuses

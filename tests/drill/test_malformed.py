"""1,000 requests out of the API's own description, what fits it and what does not, and the hostile ones, to one API.

No answer is a 5xx or other than described, nobody gets another's list, and every accepted event is in the log.
"""

from __future__ import annotations

from collections import Counter
from itertools import cycle
from pathlib import Path
from urllib.parse import quote

import schemathesis
from schemathesis import Case, GenerationMode

from tests.drill.described import generate, require_described
from tests.unit.artifacts.shop_snapshot import CATALOGUE, answer
from tests.unit.serve.hostile import EVERY
from tests.unit.serve.shop_api import LIMITS, USERS, Shop, open_shop
from tests.unit.serve.test_hostile_requests import ask

REQUESTS = 1000


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

    def answered(case: Case) -> None:
        nonlocal events
        response = case.call()
        require_described(case, response)
        statuses[response.status_code] += 1
        if response.status_code == 201:
            events += response.json()["accepted"]
        if response.status_code == 200 and case.operation.label == "DELETE /v1/users/{user_id}":
            events -= response.json()["events"]
        guest = {"user_id": f"guest {statuses.total()}", "item_id": CATALOGUE[statuses.total() % 3]}
        assert shop.call("POST", "/v1/events", content=guest).json() == {"accepted": 1, "repeated": False}
        events += 1
        check_list(shop, next(numbers))

    schema = schemathesis.openapi.from_asgi("/openapi.json", shop.api)
    generate(schema, (GenerationMode.POSITIVE, GenerationMode.NEGATIVE), REQUESTS, answered)
    print(f"by status: {dict(statuses)}; events: {events}")
    for hostile in EVERY:
        assert ask(shop, hostile).status < 500, hostile
        check_list(shop, next(numbers))

    assert sum(change.event is not None for change in shop.store.changes(0, 1_000_000)) == events
    assert {200, 400, 404, 422} <= statuses.keys(), statuses

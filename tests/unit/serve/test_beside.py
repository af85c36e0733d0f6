"""Large catalogues: what looks at every item does so beside the event loop, and finds what it finds on it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from serve import beside
from serve.catalogue import Catalogue
from serve.questions import Answer, LiveError, Wanted
from tests.unit.serve.bakery import IDS, Shop, bake, open_shop

PATIENCE_S = 30.0


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.setattr(beside, "LARGE", len(IDS))
    shop = open_shop(tmp_path, bake(tmp_path / "run"))
    shop.oven.failure = LiveError("down")
    return shop


@pytest.mark.parametrize(
    ("ask", "found"),
    [
        (lambda shop: shop.service.for_history(["rye", "pie"], Wanted(3)), ["tart", "oat", "cake"]),
        (lambda shop: shop.service.search("mill", 9), ["rye", "oat", "spelt"]),
    ],
)
def test_the_loop_answers_others_meanwhile(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, ask: Callable[[Shop], Any], found: list[str]
) -> None:
    answered = threading.Event()
    popularity = Catalogue.popularity.func  # type: ignore[attr-defined]

    def patiently(catalogue: Catalogue) -> Any:
        assert answered.wait(PATIENCE_S), "nobody else was answered meanwhile"
        return popularity(catalogue)

    async def both() -> Answer | list[dict[str, Any]]:
        slow = asyncio.ensure_future(ask(shop))
        await asyncio.sleep(0.01)
        assert shop.service.cached("ann", Wanted(1)) is not None
        answered.set()
        answer: Answer | list[dict[str, Any]] = await slow
        return answer

    monkeypatch.setattr(Catalogue, "popularity", property(patiently))
    answer = asyncio.run(both())
    items = answer.items if isinstance(answer, Answer) else answer
    assert [item["item_id"] for item in items] == found

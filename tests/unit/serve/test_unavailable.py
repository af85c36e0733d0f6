"""What is out of stock is looked up once, whoever asks and however often."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from semconv.artifacts import TopKSnapshot
from serve.questions import ItemChange, LiveError, Wanted
from tests.unit.serve.bakery import IDS, Shop, bake, indices, open_shop, serve


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return open_shop(tmp_path, bake(tmp_path / "run"))


@pytest.fixture
def looked_up(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids that are looked for in a catalogue from now on."""
    asked: list[str] = []
    find = TopKSnapshot.item_index

    def counted(snapshot: TopKSnapshot, item_id: str) -> int | None:
        asked.append(item_id)
        return find(snapshot, item_id)

    monkeypatch.setattr(TopKSnapshot, "item_index", counted)
    return asked


def put(shop: Shop, item_id: str, available: bool) -> None:
    asyncio.run(shop.service.put_item(ItemChange(item_id, available=available)))


def barred(shop: Shop) -> set[int]:
    """What the live model is told to leave out."""
    asyncio.run(shop.service.for_history(["rye"], Wanted(2)))
    return set(shop.oven.asked[-1].exclude.tolist())


def test_a_question_looks_up_what_has_changed_and_nothing_else(shop: Shop, looked_up: list[str]) -> None:
    gone = ["oat", "bun", "pie", "a new one"]
    for item_id in gone:
        put(shop, item_id, False)
    assert barred(shop) == set(indices(gone[:3]))
    looked_up.clear()
    assert barred(shop) == set(indices(gone[:3]))
    shop.oven.failure = LiveError("down")
    assert barred(shop) == set(indices(gone[:3]))
    assert not {*gone} & {*looked_up}
    put(shop, "bun", True)
    put(shop, "cake", False)
    looked_up.clear()
    assert barred(shop) == set(indices(["oat", "pie", "cake"]))
    assert not {"oat", "pie"} & {*looked_up}


def test_a_swap_knows_what_is_gone_in_the_new_catalogue(shop: Shop, tmp_path: Path, looked_up: list[str]) -> None:
    put(shop, "oat", False)
    asyncio.run(shop.service.swap(serve(shop, bake(tmp_path / "run", name="after"))))
    looked_up.clear()
    assert barred(shop) == set(indices(["oat"]))
    assert "oat" not in looked_up
    put(shop, "oat", True)
    assert barred(shop) == set()


def test_a_fallback_leaves_out_what_is_gone(shop: Shop) -> None:
    shop.oven.failure = LiveError("down")
    for item_id in IDS[:6]:
        put(shop, item_id, False)
    answer = asyncio.run(shop.service.for_history([], Wanted(3)))
    assert [item["item_id"] for item in answer.items] == ["tart", "cake"]

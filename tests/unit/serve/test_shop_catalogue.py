"""The catalogue, filters and search: names are compared alike everywhere, and the shop's word is the last."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from semconv.artifacts import TopKSnapshot
from serve.catalogue import Catalogue, fits
from serve.questions import ItemChange
from tests.unit.serve.bakery import IDS, Shop, bake, open_shop

NAMES = (None, "", "mill", "Oven", "sugar", "Sugar & Co", "bread", "SWEET!", "organic", "?", "nobody")


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return open_shop(tmp_path, bake(tmp_path / "run"))


def found(shop: Shop, query: str, limit: int = 9) -> list[str]:
    return [item["item_id"] for item in asyncio.run(shop.service.search(query, limit))]


def put(shop: Shop, item_id: str, **change: Any) -> dict[str, Any]:
    return asyncio.run(shop.service.put_item(ItemChange(item_id, **change)))


def test_one_item_is_judged_as_all_are(tmp_path: Path) -> None:
    bake(tmp_path / "run")
    catalogue = Catalogue(TopKSnapshot.open(tmp_path / "run" / "topk"))
    for category, brand in itertools.product(NAMES, NAMES):
        one_by_one = [fits(catalogue.snapshot.item(index), category, brand) for index in range(catalogue.n_items)]
        np.testing.assert_array_equal(catalogue.matching(category, brand), one_by_one)


def test_popular_items_come_in_order_without_blocked_ones(tmp_path: Path) -> None:
    bake(tmp_path / "run", blocked=["oat", "cake"])
    catalogue = Catalogue(TopKSnapshot.open(tmp_path / "run" / "topk"))
    assert [IDS[index] for index in catalogue.by_popularity] == ["rye", "spelt", "bun", "roll", "pie", "tart"]


def test_search_finds_rare_words_first_then_what_is_popular(shop: Shop) -> None:
    assert found(shop, "mill") == ["rye", "oat", "spelt"]
    assert found(shop, "organic mill") == ["oat", "rye", "spelt"]
    assert found(shop, "Bread", 2) == ["rye", "oat"]
    assert found(shop, "nothing of the kind") == []
    assert found(shop, "?!") == []
    assert asyncio.run(shop.service.search("cherry", 1)) == [
        {"item_id": "cake", "title": "Cherry cake", "brand": None, "categories": (), "available": True}
    ]


def test_an_id_finds_its_item_before_all_others(shop: Shop) -> None:
    assert found(shop, "pie") == ["pie"]
    put(shop, "bread", title="The bread basket")
    assert found(shop, "bread", 2) == ["bread", "rye"]


def test_search_knows_what_the_shop_says_now(shop: Shop) -> None:
    put(shop, "rye", title="Pumpernickel", brand="Bakers")
    assert found(shop, "pumpernickel") == ["rye"]
    assert found(shop, "dark mill") == ["oat", "spelt"]
    put(shop, "oat", available=False)
    assert found(shop, "mill") == ["oat", "spelt"]
    asyncio.run(shop.service.delete_item("oat"))
    assert found(shop, "mill") == ["spelt"]
    assert shop.service.item("oat") is None
    assert put(shop, "oat")["available"]


def test_an_item_is_told_with_the_shops_word_over_the_snapshots(shop: Shop) -> None:
    assert shop.service.item("oat") == {
        "item_id": "oat",
        "title": "Oat loaf",
        "brand": "Mill",
        "categories": ("Bread", "Organic"),
        "available": True,
        "codes": (2, 3),
        "recommendable": True,
    }
    told = put(shop, "oat", title="Oats", available=False)
    assert (told["title"], told["brand"], told["available"], told["recommendable"]) == ("Oats", "Mill", False, False)
    new = put(shop, "bagel", title="Bagel")
    assert (new["codes"], new["available"], new["recommendable"]) == (None, True, False)
    assert (shop.service.knows_item("bagel"), shop.service.knows_item("brick")) == (True, False)
    assert shop.service.item("brick") is None


def test_blocked_items_are_found_and_not_recommendable(tmp_path: Path) -> None:
    shop = open_shop(tmp_path, bake(tmp_path / "run", blocked=["rye"]))
    told = shop.service.item("rye")
    assert told is not None
    assert (told["available"], told["recommendable"]) == (True, False)


def test_neighbours_are_those_that_are_to_be_had(shop: Shop) -> None:
    def similar(item_id: str, k: int) -> list[dict[str, Any]]:
        answer = shop.service.similar(item_id, k)
        assert answer is not None
        assert answer.source == "cache"
        assert answer.versions["model"] is None
        return answer.items

    assert similar("rye", 9) == [
        {"item_id": "oat", "title": "Oat loaf", "score": 1.0},
        {"item_id": "spelt", "title": None, "score": 0.5},
    ]
    put(shop, "oat", available=False)
    assert similar("rye", 1) == [{"item_id": "spelt", "title": None, "score": 0.5}]
    assert similar("bun", 9) == []
    assert shop.service.similar("brick", 9) is None
    put(shop, "bagel", title="Bagel")
    assert similar("bagel", 9) == []

"""The event store hangs, and whoever does not need what hangs does not wait for it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from serve import writes
from serve.questions import Event, ItemChange, Wanted
from serve.store import StoreError
from tests.unit.serve.bakery import IDS, Shop, bake, open_shop

MANY = 40
"""More than there are threads of any kind."""
PATIENCE_S = 60.0


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    shop = open_shop(tmp_path, bake(tmp_path / "run"))
    shop.state.store.add_events([Event(f"visitor {number}", IDS[number % 8], 0) for number in range(MANY)])
    shop.state.refresh()
    return shop


class Hanging:
    """A store's methods that do nothing until the end of the block."""

    def __init__(self, shop: Shop, patch: pytest.MonkeyPatch) -> None:
        self._store, self._patch, self._over = shop.state.store, patch, threading.Event()

    def __call__(self, *names: str) -> None:
        for name in names:
            self._patch.setattr(self._store, name, self._hang)

    def let_go(self) -> None:
        self._over.set()

    def _hang(self, *_: Any) -> Any:
        self._over.wait()
        raise StoreError("it hung", "wait")


@pytest.fixture
def hanging(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hanging]:
    hang = Hanging(shop, monkeypatch)
    yield hang
    hang.let_go()


async def answers(shop: Shop, users: int = MANY) -> list[str]:
    """The rung of each visitor's answer."""
    async with asyncio.timeout(PATIENCE_S):
        found = [await shop.service.for_user(f"visitor {number}", Wanted(2)) for number in range(users)]
    return [answer.rung for answer in found if answer is not None]


def test_users_with_events_are_answered_while_nothing_can_be_shared(shop: Shop, hanging: Hanging) -> None:
    hanging("put_fresh")
    assert asyncio.run(answers(shop)) == ["live"] * MANY


def test_users_with_events_are_answered_while_no_shared_list_can_be_read(shop: Shop, hanging: Hanging) -> None:
    hanging("get_fresh")
    assert asyncio.run(answers(shop, 4)) == ["live"] * 4


def test_lists_that_others_shared_are_found_while_events_and_erasures_hang(shop: Shop, hanging: Hanging) -> None:
    async def ask() -> list[str]:
        await answers(shop)
        hanging("add_events", "erase")
        writing = [
            asyncio.ensure_future(write)
            for _ in range(MANY)
            for write in (shop.service.add_events([Event("ann", "rye", 0)]), shop.service.erase("ann"))
        ]
        await asyncio.sleep(0)
        found = await answers(shop)
        hanging.let_go()
        refused = await asyncio.gather(*writing, return_exceptions=True)
        assert all(isinstance(error, StoreError) for error in refused)
        return found

    assert asyncio.run(ask()) == ["cache"] * MANY


def test_events_are_accepted_while_erasures_take_long(shop: Shop, hanging: Hanging) -> None:
    async def write() -> int:
        hanging("erase")
        erasing = [asyncio.ensure_future(shop.service.erase("ann")) for _ in range(MANY)]
        async with asyncio.timeout(PATIENCE_S):
            stored = (await shop.service.add_events([Event("ann", "rye", 0)])).stored
            await shop.service.put_item(ItemChange("rye", available=False))
        hanging.let_go()
        await asyncio.gather(*erasing, return_exceptions=True)
        return stored

    assert asyncio.run(write()) == 1


def test_a_write_that_cannot_begin_is_refused_and_never_done(
    shop: Shop, hanging: Hanging, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writes, "BEGUN_S", 0.1)

    async def write() -> list[Any]:
        hanging("put_item")
        stuck = [asyncio.ensure_future(shop.service.put_item(ItemChange("rye"))) for _ in range(4)]
        await asyncio.sleep(0)
        with pytest.raises(StoreError, match="Ask again"):
            await shop.service.add_events([Event("ann", "rye", 0)])
        hanging.let_go()
        return await asyncio.gather(*stuck, return_exceptions=True)

    assert [str(error) for error in asyncio.run(write())] == ["it hung. wait."] * 4
    assert shop.state.store.events_of("ann") == []

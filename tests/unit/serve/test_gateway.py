"""What a replica serves changes in one step or not at all, and says which."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from semconv.config.serve import VariantSettings
from semconv.errors import ArtifactError
from serve import changeover
from serve.args import Variants
from serve.bundle import Bundle, Served
from serve.changeover import Changeover
from serve.last_good import LastGood
from serve.questions import LiveError
from serve.service import Service


def wanted(name: str, at: str = "") -> dict[str, Any]:
    return Variants(variants=(VariantSettings(name="main", run="/runs/shop", snapshot=name),), at=at).as_json()


def open_named(variant: VariantSettings, _cache: Path) -> Bundle:
    """A bundle whose fingerprint is its snapshot's name; names with 'bad' cannot be opened."""
    name = str(variant.snapshot)
    if "bad" in name:
        raise ArtifactError(f"{name} is damaged", "Make it again")
    if "odd" in name:
        raise ZeroDivisionError("division by zero")
    told = SimpleNamespace(
        variant=variant.name, snapshot=SimpleNamespace(fingerprint=name, path=Path(f"/cache/{name}")), model="m"
    )
    told.versions = lambda model: {"snapshot": name, "model": model, "variant": variant.name}
    return cast(Bundle, told)


class Recorded:
    """Stands for the service: remembers what was swapped in."""

    def __init__(self) -> None:
        self.served: Served | None = None
        self.swaps: list[str] = []

    async def swap(self, served: Served) -> None:
        self.served = served
        self.swaps.append(served.main.snapshot.fingerprint)


class Model:
    """Stands for the live model: has what it was given; down while ``up`` is False."""

    def __init__(self) -> None:
        self.models: dict[str, str] = {}
        self.refused: dict[str, Any] | None = None
        self.up = True

    async def status(self) -> dict[str, Any]:
        if not self.up:
            raise LiveError("it is down")
        return {"model": self.models, "refused": self.refused}


class Replica:
    """A changeover over a recorded service."""

    def __init__(self, state: Path) -> None:
        self.service, self.live = Recorded(), Model()
        self.last_good = LastGood(state)
        self.changeover = Changeover(
            cast(Service, self.service),
            cast(Any, self.live),
            self.last_good,
            salt="s",
            cache=state,
            opener=open_named,
            kept_opener=open_named,
        )

    async def to(self, *names: str) -> None:
        for name in names:
            self.live.models[name] = "m"
            await self.changeover.to(wanted(name))

    @property
    def refused(self) -> dict[str, Any]:
        refused: dict[str, Any] = self.changeover.told["refused"]
        return refused


@pytest.fixture
def replica(tmp_path: Path) -> Replica:
    return Replica(tmp_path)


def remembered(last_good: LastGood) -> list[str]:
    return [str(variants.variants[0].snapshot).removeprefix("/cache/") for variants in last_good.read()]


def test_what_is_asked_for_is_served_and_remembered(replica: Replica) -> None:
    asyncio.run(replica.to("a", "b"))
    assert replica.service.swaps == ["a", "b"]
    assert remembered(replica.last_good) == ["b", "a"]
    assert replica.refused is None
    outcome = replica.changeover.outcome
    assert outcome["asked"] == outcome["served"] == wanted("b")
    assert outcome["versions"] == {"main": {"snapshot": "b", "model": "m", "variant": "main"}}


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (wanted("bad"), "bad is damaged. Make it again."),
        (wanted("odd"), "ZeroDivisionError"),
        ({"variants": []}, "ValidationError"),
        ({}, "ValidationError"),
        (None, "ValidationError"),
    ],
)
def test_what_cannot_be_served_changes_nothing_and_is_told(replica: Replica, config: Any, reason: str) -> None:
    asyncio.run(replica.to("a"))
    asyncio.run(replica.changeover.to(config))
    assert replica.service.swaps == ["a"]
    assert reason in replica.refused["reason"]
    assert replica.refused["wanted"] == config
    assert replica.refused["at"] > replica.changeover.told["since"]
    assert (replica.changeover.outcome["asked"], replica.changeover.outcome["served"]) == (config, wanted("a"))
    assert remembered(replica.last_good) == ["a"]


def test_the_last_refusal_is_told_after_a_later_change_too(replica: Replica) -> None:
    asyncio.run(replica.to("a", "bad", "b"))
    assert replica.service.swaps == ["a", "b"]
    assert replica.refused["wanted"] == wanted("bad")
    assert replica.changeover.outcome["served"] == wanted("b")


def test_a_restart_comes_up_with_the_latest_that_can_still_be_served(tmp_path: Path) -> None:
    asyncio.run(Replica(tmp_path).to("a", "b"))
    LastGood(tmp_path).write(Variants.model_validate(wanted("bad since")))
    again = Replica(tmp_path)
    asyncio.run(again.changeover.to(wanted("bad")))
    again.changeover.require()
    assert again.service.swaps == ["/cache/b"]
    assert again.refused["wanted"] == wanted("bad")


def test_with_nothing_to_serve_the_start_fails_in_words(replica: Replica) -> None:
    with pytest.raises(ArtifactError, match="nothing was asked for"):
        replica.changeover.require()
    asyncio.run(replica.changeover.to(wanted("bad")))
    with pytest.raises(ArtifactError, match="There is nothing to serve: bad is damaged"):
        replica.changeover.require()


def test_the_same_again_is_not_opened_again_unless_it_is_asked_for_at_another_time(replica: Replica) -> None:
    async def asks() -> None:
        await replica.to("a", "a")
        await replica.changeover.to(wanted("a", at="later"))

    asyncio.run(asks())
    assert replica.service.swaps == ["a", "a"]


def test_changes_come_one_after_the_other_in_the_order_they_were_asked_for(replica: Replica) -> None:
    async def together() -> None:
        await asyncio.gather(*(replica.to(name) for name in ("a", "bad", "b", "c")))

    asyncio.run(together())
    assert replica.service.swaps == ["a", "b", "c"]


def test_a_swap_waits_until_the_live_model_has_it_too(replica: Replica, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changeover, "LOOK_S", 0.001)

    async def waits() -> None:
        await replica.to("a")
        change = asyncio.create_task(replica.changeover.to(wanted("b")))
        await asyncio.sleep(0.05)
        assert replica.service.swaps == ["a"]
        replica.live.models["b"] = "m"
        await change

    asyncio.run(waits())
    assert replica.service.swaps == ["a", "b"]


def test_a_live_model_that_is_down_or_slow_holds_up_no_swap(replica: Replica, monkeypatch: pytest.MonkeyPatch) -> None:
    asyncio.run(replica.to("a"))
    replica.live.up = False
    asyncio.run(replica.changeover.to(wanted("b")))
    replica.live.up = True
    monkeypatch.setattr(changeover, "LIVE_S", 0.01)
    asyncio.run(replica.changeover.to(wanted("c")))
    assert replica.service.swaps == ["a", "b", "c"]


def test_what_the_live_model_cannot_open_is_refused_here_too(replica: Replica) -> None:
    asyncio.run(replica.to("a"))
    replica.live.refused = {"reason": "its weights are damaged", "wanted": wanted("b")}
    asyncio.run(replica.changeover.to(wanted("b")))
    assert replica.service.swaps == ["a"]
    assert "its weights are damaged" in replica.refused["reason"]
    assert replica.changeover.outcome["served"] == wanted("a")


def test_an_earlier_refusal_of_the_live_model_refuses_nothing_and_is_not_taken_for_an_answer(
    replica: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changeover, "LOOK_S", 0.001)

    async def waits() -> None:
        await replica.to("a")
        replica.live.refused = {"reason": "its weights are damaged", "wanted": wanted("earlier")}
        change = asyncio.create_task(replica.changeover.to(wanted("b")))
        await asyncio.sleep(0.05)
        assert replica.service.swaps == ["a"]
        replica.live.models["b"], replica.live.refused = "m", None
        await change

    asyncio.run(waits())
    assert replica.service.swaps == ["a", "b"]
    assert replica.refused is None


def test_a_disk_that_takes_nothing_stops_no_swap(replica: Replica, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(served: Variants) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(replica.last_good, "write", full)
    asyncio.run(replica.to("a", "b"))
    assert replica.service.swaps == ["a", "b"]
    assert replica.refused is None

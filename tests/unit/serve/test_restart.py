"""A replica that starts again serves what was good last, whatever has become of the run that it was made by."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from semconv.config.serve import ServeSettings
from serve.args import Variants
from serve.changeover import Changeover
from serve.last_good import LastGood
from serve.questions import Wanted
from serve.service import Service
from serve.state import ShopState
from serve.store import open_store
from tests.unit.serve.bakery import LISTS, K, Oven, bake


class Replica:
    """One that was just started, with nothing but what lies in ``folder``."""

    def __init__(self, folder: Path, config: dict[str, Any]) -> None:
        self.service = Service(ShopState(open_store(folder / "events.sqlite")), Oven(), ServeSettings())
        last_good = LastGood(folder)
        self.changeover = Changeover(self.service, Oven(), last_good, salt="salt", cache=folder / "cache")
        asyncio.run(self.changeover.to(config))
        self.changeover.require()

    def listed(self, user_id: str) -> list[str]:
        answer = self.service.cached(user_id, Wanted(K))
        assert answer is not None
        return [item["item_id"] for item in answer.items]


def retrained(run: Path) -> None:
    """There is another model, and nobody has been ranked with it yet."""
    shutil.rmtree(run / "model")
    bake(run, name="later", model="second")


def changed(run: Path) -> None:
    for file in (run / "topk").rglob("*.arrow"):
        file.write_bytes(b"")
    (run / "topk" / "manifest.json").write_text("{}")


@pytest.mark.parametrize("happens", [retrained, changed, shutil.rmtree])
def test_a_replica_comes_back_while_the_run_is_made_anew(tmp_path: Path, happens: Callable[[Path], None]) -> None:
    config = Variants(variants=(bake(tmp_path / "run"),)).as_json()
    assert Replica(tmp_path, config).changeover.told["refused"] is None
    happens(tmp_path / "run")
    again = Replica(tmp_path, config)
    assert again.listed("ann") == LISTS["ann"][:K]
    assert again.changeover.told["refused"]["wanted"] == config


def test_a_copy_that_was_damaged_is_made_anew_and_where_it_cannot_be_the_one_before_is_served(tmp_path: Path) -> None:
    before, last = bake(tmp_path / "run"), bake(tmp_path / "run", name="last", lists={"ann": ["cake", "pie", "bun"]})
    configs = [Variants(variants=(variant,)).as_json() for variant in (before, last)]
    for config in configs:
        Replica(tmp_path, config)

    def damage() -> None:
        (copy,) = [one.snapshot for one in LastGood(tmp_path).read()[0].variants]
        shard = next(Path(str(copy)).glob("shards/*.arrow"))
        shard.write_bytes(shard.read_bytes()[:-64])

    damage()
    assert Replica(tmp_path, configs[1]).listed("ann") == ["cake", "pie", "bun"]
    damage()
    shutil.rmtree(tmp_path / "run" / "last")
    assert Replica(tmp_path, configs[1]).listed("ann") == LISTS["ann"][:K]

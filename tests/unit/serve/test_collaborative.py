"""The collaborative rung: votes of the last items, the most recent counting most."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from semconv.artifacts import TopKSnapshot
from serve.collaborative import VOTERS, votes
from tests.unit.serve.bakery import IDS, bake, indices


@pytest.fixture
def snapshot(tmp_path: Path) -> TopKSnapshot:
    bake(tmp_path / "run")
    return TopKSnapshot.open(tmp_path / "run" / "topk")


def told(snapshot: TopKSnapshot, *history: str) -> dict[str, float]:
    votes_N = votes(snapshot, indices(history))
    return {IDS[item]: round(float(votes_N[item]), 4) for item in np.flatnonzero(votes_N)}


def test_votes_add_up_and_fade_by_each_step_back(snapshot: TopKSnapshot) -> None:
    assert told(snapshot) == {}
    assert told(snapshot, "bun", "cake") == {}
    assert told(snapshot, "rye") == {"oat": 1.0, "spelt": 0.5}
    assert told(snapshot, "rye", "oat") == {"oat": 0.7, "spelt": 0.35, "rye": 1.0, "roll": 0.5}
    assert told(snapshot, "rye", "rye") == {"oat": 1.7, "spelt": 0.85}


def test_items_too_far_back_say_nothing(snapshot: TopKSnapshot) -> None:
    assert told(snapshot, "rye", *["bun"] * VOTERS) == {}

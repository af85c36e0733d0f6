"""The live model without Ray: ranks as the snapshot was ranked, keeps what it has, and never answers for another."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from semconv.artifacts import NONE, Run
from semconv.artifacts.ragged import Int32
from semconv.config import RecommendSettings
from semconv.config.serve import VariantSettings
from semconv.recommend.ranker import Ranking
from serve.args import Variants
from serve.last_good import LastGood
from serve.live import decode
from serve.models import Models
from serve.questions import LiveAnswer, LiveError, LiveQuestion
from tests.unit.serve.bakery import IDS, KEPT, bake, indices


class Counting:
    """Ranks items from the last to the first, and remembers what it was asked."""

    name = "counting"

    def __init__(self) -> None:
        self.asked: list[tuple[list[list[int]], int, list[list[int]]]] = []

    def rank(self, histories: Sequence[Int32], k: int, *, exclude: Sequence[Int32] | None = None) -> Ranking:
        barred = [[] for _ in histories] if exclude is None else [items.tolist() for items in exclude]
        self.asked.append(([history.tolist() for history in histories], k, barred))
        items = np.full((len(histories), k), NONE, np.int32)
        for row, left_out in zip(items, barred, strict=True):
            found = [item for item in reversed(range(len(IDS))) if item not in left_out][:k]
            row[: len(found)] = found
        return Ranking(items, np.where(items == NONE, -np.inf, 1.0).astype(np.float32))


class Openings:
    """Opens a ranker, and counts."""

    def __init__(self) -> None:
        self.opened: list[tuple[Run, RecommendSettings]] = []
        self.ranker = Counting()

    def __call__(self, run: Run, chosen: RecommendSettings) -> Counting:
        self.opened.append((run, chosen))
        return self.ranker


def config(*variants: VariantSettings) -> dict[str, Any]:
    return {"variants": [variant.model_dump() for variant in variants]}


def snapshot_of(models: Models) -> str:
    return next(iter(models.status()["model"]))


@pytest.fixture
def openings() -> Openings:
    return Openings()


@pytest.fixture
def models(tmp_path: Path, openings: Openings) -> Models:
    opened = Models(tmp_path / "cache", openings)
    opened.open(config(bake(tmp_path / "run")))
    return opened


def ask(models: Models, *history: str, k: int = 3, **asked: Any) -> list[str]:
    question = LiveQuestion(snapshot_of(models), tuple(indices(history)), k, **asked)
    (answer,) = decode(models, [(question, time.monotonic() + 1)])
    assert isinstance(answer, LiveAnswer)
    assert len(answer.items) == len(answer.scores)
    return [IDS[item] for item in answer.items]


def test_as_many_are_ranked_as_in_the_snapshot_and_as_many_told_as_were_asked_for(
    models: Models, openings: Openings
) -> None:
    assert ask(models, "rye", "cake", k=2) == ["tart", "pie"]
    assert openings.ranker.asked[-1] == ([indices(["rye", "cake"])], KEPT, [indices(["rye", "cake"])])
    assert ask(models, k=99) == ["cake", "tart", "pie", "roll", "bun"]
    assert ask(models, *IDS) == []
    assert openings.opened[0][1].candidates == RecommendSettings().candidates


def test_filters_become_items_that_are_left_out(models: Models) -> None:
    assert ask(models, "roll", category="bread") == ["spelt", "oat", "rye"]
    assert ask(models, category="SWEET", brand="oven") == ["roll", "bun"]
    assert ask(models, "tart", exclude=tuple(indices(["cake", "tart"]))) == ["pie", "roll", "bun"]
    assert ask(models, brand="nobody") == []


def test_requests_of_one_snapshot_are_decoded_together(models: Models, openings: Openings) -> None:
    snapshot, soon = snapshot_of(models), time.monotonic() + 1
    before = len(openings.ranker.asked)
    first, late, other, last = decode(
        models,
        [
            (LiveQuestion(snapshot, (0,), 1), soon),
            (LiveQuestion(snapshot, (1,), 1), time.monotonic() - 1),
            (LiveQuestion("another", (2,), 1), soon),
            (LiveQuestion(snapshot, (7,), 2), soon),
        ],
    )
    assert len(openings.ranker.asked) == before + 1
    assert isinstance(first, LiveAnswer)
    assert isinstance(last, LiveAnswer)
    assert (first.items, last.items) == ([7], [6, 5])
    assert isinstance(late, LiveError)
    assert isinstance(other, LiveError)
    assert "another" in str(other)


def test_a_run_without_a_blend_for_wishes_says_so_and_answers_others(models: Models) -> None:
    snapshot = snapshot_of(models)
    wished, plain = LiveQuestion(snapshot, (0,), 1, wish="sweet"), LiveQuestion(snapshot, (0,), 1)
    deadline = time.monotonic() + 60
    told = ""
    while "takes no wishes" not in told:
        refused, answered = decode(models, [(wished, deadline), (plain, deadline)])
        assert isinstance(refused, LiveError)
        assert isinstance(answered, LiveAnswer)
        told = str(refused)
        time.sleep(0.01)
    with pytest.raises(LiveError, match="takes no wishes"):
        models.of(snapshot).reasons(wished, [1])


def test_a_snapshot_of_the_same_model_shares_what_ranks(models: Models, openings: Openings, tmp_path: Path) -> None:
    before = snapshot_of(models)
    models.open(config(bake(tmp_path / "run", name="next", lists={"ann": ["pie"]})))
    assert len(openings.opened) == 1
    assert before not in models.status()["model"]
    assert models.of(before).fingerprint == models.of(snapshot_of(models)).fingerprint


def test_the_one_before_is_kept_for_those_who_have_not_swapped_and_no_more(
    models: Models, openings: Openings, tmp_path: Path
) -> None:
    first = snapshot_of(models)
    models.open(config(bake(tmp_path / "second", model="second", lists={"ann": ["pie"]})))
    second = snapshot_of(models)
    assert models.of(first).fingerprint != models.of(second).fingerprint
    models.open(config(bake(tmp_path / "third", model="third", lists={"ann": ["bun"]})))
    models.of(second)
    with pytest.raises(LiveError, match="no model is open"):
        models.of(first)
    assert len(openings.opened) == 3


def test_what_cannot_be_opened_changes_nothing_and_is_told(models: Models, openings: Openings, tmp_path: Path) -> None:
    held = snapshot_of(models)
    wanted = config(VariantSettings(name="main", run=str(tmp_path / "nowhere")))
    for refused in (wanted, {"variants": []}, {"vriants": 1}):
        models.open(refused)
        status = models.status()
        assert list(status["model"]) == [held]
        assert status["refused"]["wanted"] == refused
        assert status["refused"]["reason"]
    models.open(config(bake(tmp_path / "run", name="again")))
    assert models.status()["refused"] is None


def test_a_start_with_what_cannot_be_opened_comes_up_with_what_was_served_last(
    openings: Openings, tmp_path: Path
) -> None:
    good, gone = bake(tmp_path / "run"), VariantSettings(name="main", run=str(tmp_path / "nowhere"))
    last_good = LastGood(tmp_path)
    for variant in (good, gone):
        last_good.write(Variants(variants=(variant,)))
    models = Models(tmp_path / "cache", openings, last_good)
    models.open(config(gone))
    assert models.status()["refused"] is not None
    assert ask(models, "cake", k=1) == ["tart"]

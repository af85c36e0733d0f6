from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from semconv.artifacts import Corpus, Run
from semconv.behaviour.store import Behaviour
from semconv.config import Settings
from semconv.recommend.load import open_generative, open_rankers
from semconv.recommend.random_ranker import RandomRanker
from semconv.recommend.ranker import NO_ITEM, Ranker

WITHOUT_LLM = ("random", "popularity", "item_to_item", "item_to_item_tuned", "sasrec", "text_neighbours")
BLENDS = ("converged", "converged_without_generative")
SYSTEMS = (*WITHOUT_LLM, "generative_compact", *BLENDS, "generative_tokens")


@pytest.fixture(scope="module")
def rankers(small_run: Run, small_token_run: Run) -> dict[str, Ranker]:
    both = [open_rankers(run, Settings()) for run in (small_run, small_token_run)]
    spelt = [[*WITHOUT_LLM, name, *BLENDS] for name in ("generative_compact", "generative_tokens")]
    assert [list(opened) for opened in both] == spelt
    return both[0] | both[1]


def histories(run: Run) -> list[Any]:
    return [np.zeros(0, np.int32), *Corpus.open(run.artifact("corpus")).sequences]


def test_every_system_is_opened_under_its_name(rankers: dict[str, Ranker]) -> None:
    assert tuple(rankers) == SYSTEMS
    assert all(ranker.name == name for name, ranker in rankers.items())


@pytest.mark.parametrize("name", SYSTEMS)
@pytest.mark.parametrize("filtered", [True, False])
@pytest.mark.parametrize("k", [1, 7, 60])
def test_every_ranking_is_legal_and_complete(
    rankers: dict[str, Ranker], small_run: Run, name: str, filtered: bool, k: int
) -> None:
    asked = histories(small_run)
    ranking = rankers[name].rank(asked, k, exclude=asked if filtered else None)
    assert ranking.items.shape == ranking.scores.shape == (len(asked), k)
    assert (ranking.items.dtype, ranking.scores.dtype) == (np.int32, np.float32)
    for history, items, scores in zip(asked, ranking.items, ranking.scores, strict=True):
        legal = set(range(40)) - (set(history.tolist()) if filtered else set())
        got = items[items != NO_ITEM].tolist()
        assert len(got) == len(set(got)) == min(k, len(legal))
        assert set(got) <= legal
        assert (items[len(got) :] == NO_ITEM).all()
        assert (np.diff(scores[: len(got)]) <= 0).all()
        assert np.isneginf(scores[len(got) :]).all()


@pytest.mark.parametrize("name", SYSTEMS)
def test_no_history_at_all_gives_no_ranking(rankers: dict[str, Ranker], name: str) -> None:
    ranking = rankers[name].rank([], 5)
    assert ranking.items.shape == ranking.scores.shape == (0, 5)


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_ranking_does_not_depend_on_the_batch(rankers: dict[str, Ranker], small_run: Run, name: str) -> None:
    asked = histories(small_run)
    together = rankers[name].rank(asked, 5)
    alone = rankers[name].rank(asked[4:5], 5)
    assert together.items[4].tolist() == alone.items[0].tolist()
    np.testing.assert_allclose(together.scores[4], alone.scores[0], atol=1e-5)


def test_popularity_ranks_by_training_count_then_item(rankers: dict[str, Ranker], small_run: Run) -> None:
    counts = Behaviour.open(small_run.artifact("behaviour")).counts.tolist()
    wanted = sorted(range(40), key=lambda item: (-counts[item], item))
    assert rankers["popularity"].rank([np.zeros(0, np.int32)], 40).items[0].tolist() == wanted


def test_random_orders_differ_by_history_and_seed_and_nothing_else() -> None:
    one, two = np.array([1, 2], np.int32), np.array([2, 1], np.int64)
    drawn = RandomRanker(200, seed=1).rank([one, two, one], 200).items
    assert drawn[0].tolist() == drawn[2].tolist() != drawn[1].tolist()
    assert RandomRanker(200, seed=1).rank([two.astype(np.int32)], 200).items[0].tolist() == drawn[1].tolist()
    assert RandomRanker(200, seed=2).rank([one], 200).items[0].tolist() != drawn[0].tolist()


def test_random_orders_are_uniform() -> None:
    ranker = RandomRanker(10, seed=0)
    first = ranker.rank([np.array([user], np.int32) for user in range(2000)], 1).items[:, 0]
    assert (np.abs(np.bincount(first, minlength=10) - 200) < 70).all()


def test_the_generative_system_takes_a_set_of_allowed_items(small_run: Run) -> None:
    ranker = open_generative(small_run, beams=3)
    allowed = np.zeros(40, np.bool_)
    allowed[[3, 17, 30]] = True
    items = ranker.rank(histories(small_run), 5, allow=allowed).items
    assert all(sorted(row.tolist()) == [-1, -1, 3, 17, 30] for row in items)


def test_bf16_ranks_nearly_alike(small_run: Run) -> None:
    exact = open_generative(small_run, beams=40)
    rough = open_generative(small_run, beams=40, precision="bf16")
    assert next(rough.model.parameters()).dtype == torch.bfloat16
    asked = histories(small_run)
    wanted, found = exact.rank(asked, 40), rough.rank(asked, 40)
    for user in range(len(asked)):
        by_item = dict(zip(found.items[user].tolist(), found.scores[user].tolist(), strict=True))
        scores = [by_item[item] for item in wanted.items[user].tolist()]
        np.testing.assert_allclose(scores, wanted.scores[user], atol=0.25)

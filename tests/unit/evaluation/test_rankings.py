"""Every user ranked once, legally, or no result at all."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from small_shop import N_ITEMS, N_USERS, Stepping

from semconv.artifacts import Corpus
from semconv.evaluation.metrics import hit_ranks
from semconv.evaluation.rankings import CountError, Gathering, rank_block, repeats
from semconv.recommend.ranker import NO_ITEM

K = 5
Block = dict[str, np.ndarray]


def block_of(corpus: Corpus, rows: np.ndarray) -> Block:
    return rank_block({"step": Stepping("step", 1)}, list(corpus.split("test").histories.take(rows)), K)


def gathering(corpus: Corpus) -> Gathering:
    return Gathering(corpus.split("test"), N_ITEMS, K)


def test_blocks_in_any_order_give_the_same_rankings(corpus: Corpus) -> None:
    whole, parts = gathering(corpus), gathering(corpus)
    whole.add(np.arange(N_USERS), block_of(corpus, np.arange(N_USERS)))
    for rows in reversed(np.array_split(np.arange(N_USERS), 4)):
        parts.add(rows, block_of(corpus, rows))
    assert parts.done == N_USERS
    for kind in ("filtered", "unfiltered"):
        assert np.array_equal(whole.finish()["step"][kind], parts.finish()["step"][kind])
    assert not np.array_equal(whole.finish()["step"]["filtered"], whole.finish()["step"]["unfiltered"])


def test_a_missing_user_is_no_result(corpus: Corpus) -> None:
    gathered = gathering(corpus)
    rows = np.arange(N_USERS - 1)
    gathered.add(rows, block_of(corpus, rows))
    with pytest.raises(CountError, match=f"of {N_USERS} users 1 were not ranked and 0 more than once"):
        gathered.finish()


@pytest.mark.parametrize("again", [[3], [3, 3]])
def test_a_user_ranked_twice_is_no_result(corpus: Corpus, again: list[int]) -> None:
    gathered = gathering(corpus)
    for rows in (np.delete(np.arange(N_USERS), 3), np.array([3]), np.array(again)):
        gathered.add(rows, block_of(corpus, rows))
    with pytest.raises(CountError, match="0 were not ranked and 1 more than once"):
        gathered.finish()


def spoil_with(kind: str, change: Callable[[np.ndarray, Corpus], None]) -> Callable[[Block, Corpus], None]:
    def spoil(block: Block, corpus: Corpus) -> None:
        change(block[f"step.{kind}"], corpus)

    return spoil


def _from_history(items: np.ndarray, corpus: Corpus) -> None:
    items[4, K - 1] = corpus.split("test").histories[4][0]


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (spoil_with("unfiltered", lambda items, _: items.__setitem__((2, 1), N_ITEMS)), "not in the catalogue"),
        (spoil_with("unfiltered", lambda items, _: items.__setitem__((2, 1), -2)), "not in the catalogue"),
        (spoil_with("filtered", lambda items, _: items.__setitem__((2, 1), items[2, 3])), "twice to the same user"),
        (spoil_with("filtered", _from_history), "own history"),
    ],
)
def test_an_illegal_ranking_is_no_result(corpus: Corpus, spoil: Callable[[Block, Corpus], None], reason: str) -> None:
    rows = np.arange(N_USERS)
    block = block_of(corpus, rows)
    spoil(block, corpus)
    with pytest.raises(CountError, match=reason):
        gathering(corpus).add(rows, block)


def test_a_ranking_of_another_depth_is_no_result(corpus: Corpus) -> None:
    rows = np.arange(N_USERS)
    block = {name: items[:, 1:] for name, items in block_of(corpus, rows).items()}
    with pytest.raises(CountError, match="shape"):
        gathering(corpus).add(rows, block)


def test_rows_may_end_early(corpus: Corpus) -> None:
    rows = np.arange(N_USERS)
    block = block_of(corpus, rows)
    for items in block.values():
        items[7, 2:] = NO_ITEM
    gathered = gathering(corpus)
    gathered.add(rows, block)
    assert gathered.finish()["step"]["filtered"][7].tolist()[2:] == [NO_ITEM] * 3


def test_targets_bought_before_are_counted_and_missed(corpus: Corpus) -> None:
    split, rows = corpus.split("test"), np.arange(N_USERS)
    assert repeats(split) == 5
    assert repeats(corpus.split("valid")) == 0
    gathered = Gathering(split, N_ITEMS, N_ITEMS)
    gathered.add(rows, rank_block({"step": Stepping("step", 1)}, list(split.histories), N_ITEMS))
    ranks = {kind: hit_ranks(items, split.targets) for kind, items in gathered.finish()["step"].items()}
    assert np.flatnonzero(ranks["filtered"] == 0).tolist() == [0, 5, 10, 15, 20]
    assert (ranks["unfiltered"] > 0).all()

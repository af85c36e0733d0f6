"""Slices hold the users they say, and who is asked about again is asked what the question says."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_shop import N_ITEMS, N_USERS, Stepping

from semconv.artifacts import Corpus, Ragged, Split
from semconv.artifacts.ragged import Int32
from semconv.evaluation.again import Answers, ask, sample
from semconv.evaluation.metrics import hit_ranks
from semconv.evaluation.new_items import NEW_ITEMS, Shelf, among_new_items
from semconv.evaluation.rankings import CountError, rank_block
from semconv.evaluation.slices import SHARES, by_length, by_popularity, popularity_shares, slice_users
from semconv.evaluation.truncation import Truncated, by_last_events
from semconv.recommend.ranker import NO_ITEM, Ranking

K = 6


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 60), min_size=1, max_size=80))
def test_every_user_has_one_length(lengths: list[int]) -> None:
    found = by_length(np.array(lengths))
    assert sorted(row for _, _, rows in found for row in rows.tolist()) == list(range(len(lengths)))
    for name, _, rows in found:
        low, _, high = name.rstrip("+").partition("-")
        top = 10**9 if name.endswith("+") else int(high or low)
        assert all(int(low) <= lengths[row] <= top for row in rows.tolist())


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=60))
def test_more_popular_items_come_in_earlier_shares(counts: list[int]) -> None:
    counts_N = np.array(counts, np.int64)
    share_N = popularity_shares(counts_N)
    assert np.array_equal(share_N == len(SHARES), counts_N == 0)
    for a, b in zip(*(order.ravel() for order in np.meshgrid(range(len(counts)), range(len(counts)))), strict=True):
        if counts_N[a] > counts_N[b]:
            assert share_N[a] <= share_N[b]
        elif counts_N[a] == counts_N[b]:
            assert share_N[a] == share_N[b]


def test_shares_are_thirds_of_the_interactions() -> None:
    counts_N = np.array([30, 10, 10, 10, *[1] * 30, 0])
    assert popularity_shares(counts_N).tolist() == [0, 1, 1, 1, *[2] * 30, 3]
    split = Split(np.arange(3), Ragged.of([[1], [1], [1]]), np.array([34, 0, 34], np.int32))
    found = by_popularity(split, counts_N)
    assert [(name, rows.tolist()) for name, _, rows in found] == [("head", [1]), ("0", [0, 2])]


def test_a_slice_has_its_users_figures(corpus: Corpus) -> None:
    split = corpus.split("test")
    items = rank_block({"step": Stepping("step", 1)}, list(split.histories), K)["step.filtered"]
    ranks = {"step": hit_ranks(items, split.targets)}
    counts_N = np.bincount(corpus.training().values, minlength=N_ITEMS)
    slices = slice_users(ranks, split, counts_N, k=3, resamples=50, seed=1)
    assert set(slices.by) == {"history_length", "target_popularity"}
    for part in slices.by["history_length"]:
        rows = next(rows for name, _, rows in by_length(split.histories.lengths) if name == part.name)
        hits = [0 < rank <= 3 for rank in ranks["step"][rows]]
        assert part.users == len(rows)
        assert part.metrics["step"]["recall@3"] == pytest.approx(np.mean(hits))


class Listening:
    """A `Ranker` that remembers what it was asked."""

    name = "listening"

    def __init__(self) -> None:
        self.asked: list[list[int]] = []
        self.excluded: list[list[int]] = []

    def rank(self, histories: Sequence[Int32], k: int, *, exclude: Sequence[Int32] | None = None) -> Ranking:
        self.asked += [history.tolist() for history in histories]
        self.excluded += [items.tolist() for items in exclude or []]
        return Ranking(np.full((len(histories), k), NO_ITEM, np.int32), np.zeros((len(histories), k), np.float32))


@pytest.mark.parametrize(("keep", "seen"), [(0, [[], []]), (1, [[7], [4]]), (2, [[6, 7], [4]])])
def test_only_the_last_events_are_seen_and_all_of_them_excluded(keep: int, seen: list[list[int]]) -> None:
    histories = [np.array(history, np.int32) for history in ([5, 6, 7], [4])]
    listening = Listening()
    Truncated(listening, keep).rank(histories, K, exclude=histories)
    assert listening.asked == seen
    assert listening.excluded == [[5, 6, 7], [4]]


def test_truncated_rankings_of_the_sampled_users_in_any_blocks(corpus: Corpus) -> None:
    split = corpus.split("test")
    rows = sample(N_USERS, 9, seed=4)
    assert np.array_equal(rows, sample(N_USERS, 9, seed=4))
    assert sample(3, 9, seed=4).tolist() == [0, 1, 2]
    ranker, question = Stepping("step", 1), by_last_events(N_USERS, 9, seed=4)
    answers = Answers(question, split, N_ITEMS, K)
    for block_rows in np.array_split(np.arange(N_USERS)[::-1], 4):
        histories = list(split.histories.take(block_rows))
        block = ask(question, {"step": ranker}, histories, block_rows, K)
        assert answers.take(block_rows, {**block, "step.filtered": np.zeros((1, K))}).keys() == {"step.filtered"}
    found = answers.finish().by_variant
    whole = hit_ranks(ranker.rank(list(split.histories), K, exclude=list(split.histories)).items, split.targets)
    # The last item alone decides what `Stepping` says.
    assert found["1"]["step"].tolist() == found["2"]["step"].tolist() == whole[rows].tolist()
    assert found["0"]["step"].tolist() != whole[rows].tolist()


def test_a_sampled_user_who_is_missing_is_no_result(corpus: Corpus) -> None:
    split, question = corpus.split("test"), by_last_events(N_USERS, 9, seed=4)
    answers, some = Answers(question, split, N_ITEMS, K), question.rows[:-1]
    histories = list(split.histories.take(some))
    answers.take(some, ask(question, {"step": Stepping("step", 1)}, histories, some, K))
    with pytest.raises(CountError, match="1 were not ranked"):
        answers.finish()


def test_a_shelf_holds_new_items_alone_and_none_that_is_excluded() -> None:
    histories = [np.array(history, np.int32) for history in ([5, 6, 7], [4])]
    listening = Listening()
    Shelf(listening, np.array([0, 1, 5], np.int32)).rank(histories, K, exclude=histories)
    Shelf(listening, np.array([0, 1, 5], np.int32)).rank(histories, K)
    assert listening.asked == 2 * [[5, 6, 7], [4]]
    assert listening.excluded == [[0, 1, 5, 5, 6, 7], [0, 1, 5, 4], [0, 1, 5], [0, 1, 5]]


def test_users_whose_next_item_is_new_are_ranked_for_among_new_items(corpus: Corpus) -> None:
    """Here the items of a third of the targets count as new; `Stepping` names the next numbers that are left."""
    split = corpus.split("test")
    new = np.unique(split.targets)[::3]
    counts_N = np.ones(N_ITEMS, np.int64)
    counts_N[new] = 0
    question = among_new_items(split, counts_N, N_USERS, seed=1)
    assert question.rows.tolist() == np.flatnonzero(np.isin(split.targets, new)).tolist()
    assert len(among_new_items(split, counts_N, 2, seed=1).rows) == 2
    answers, ranker, everyone = Answers(question, split, N_ITEMS, K), Stepping("step", 1), np.arange(N_USERS)
    block = ask(question, {"step": ranker}, list(split.histories), everyone, K)
    answers.take(everyone, block)
    asked = block[f"step~{NEW_ITEMS}~alone.filtered"]
    assert (asked[~np.isin(everyone, question.rows)] == NO_ITEM).all()
    for row in question.rows.tolist():
        shelf = set(new.tolist()) - set(split.histories[row].tolist())
        named = [item for item in asked[row].tolist() if item != NO_ITEM]
        assert set(named) <= shelf
        assert len(named) == min(K, len(shelf))
    found = answers.finish()
    assert found.by_variant["alone"]["step"].tolist() == hit_ranks(asked, split.targets)[question.rows].tolist()
    ranks = {"step": np.zeros(N_USERS, np.int32)}
    slices = slice_users(ranks, split, counts_N, k=3, resamples=50, seed=1, again={NEW_ITEMS: found}).by[NEW_ITEMS]
    assert [(part.name, part.users) for part in slices] == [(name, len(question.rows)) for name in ("alone", "whole")]


def test_in_a_catalogue_without_new_items_nobody_is_asked_about_them(corpus: Corpus) -> None:
    split, counts_N = corpus.split("test"), np.ones(N_ITEMS, np.int64)
    question = among_new_items(split, counts_N, N_USERS, seed=1)
    answers, everyone = Answers(question, split, N_ITEMS, K), np.arange(N_USERS)
    answers.take(everyone, ask(question, {"step": Stepping("step", 1)}, list(split.histories), everyone, K))
    ranks, again = {"step": np.zeros(N_USERS, np.int32)}, {NEW_ITEMS: answers.finish()}
    assert NEW_ITEMS not in slice_users(ranks, split, counts_N, k=3, resamples=50, seed=1, again=again).by

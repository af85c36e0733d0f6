"""Slices hold the users they say, and truncated histories are what a system is shown."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_shop import N_ITEMS, N_USERS, Stepping

from semconv.artifacts import Corpus, Ragged, Split
from semconv.artifacts.ragged import Int32
from semconv.evaluation.metrics import hit_ranks
from semconv.evaluation.rankings import CountError, rank_block
from semconv.evaluation.slices import SHARES, by_length, by_popularity, popularity_shares, slice_users
from semconv.evaluation.truncation import Truncated, TruncatedGathering, rank_truncated, sample
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
    ranker = Stepping("step", 1)
    gathering = TruncatedGathering(split, N_ITEMS, K, rows)
    for block_rows in np.array_split(np.arange(N_USERS)[::-1], 4):
        histories = list(split.histories.take(block_rows))
        block = rank_truncated({"step": ranker}, histories, np.isin(block_rows, rows), K)
        assert gathering.take(block_rows, {**block, "step.filtered": np.zeros((1, K))}).keys() == {"step.filtered"}
    found = gathering.finish()
    whole = hit_ranks(ranker.rank(list(split.histories), K, exclude=list(split.histories)).items, split.targets)
    # The last item alone decides what `Stepping` says.
    assert found.by_events[1]["step"].tolist() == found.by_events[2]["step"].tolist() == whole[rows].tolist()
    assert found.by_events[0]["step"].tolist() != whole[rows].tolist()


def test_a_sampled_user_who_is_missing_is_no_result(corpus: Corpus) -> None:
    split, rows = corpus.split("test"), sample(N_USERS, 9, seed=4)
    gathering = TruncatedGathering(split, N_ITEMS, K, rows)
    some = rows[:-1]
    histories = list(split.histories.take(some))
    gathering.take(some, rank_truncated({"step": Stepping("step", 1)}, histories, some >= 0, K))
    with pytest.raises(CountError, match="1 were not ranked"):
        gathering.finish()

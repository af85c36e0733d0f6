"""Order, repetitions and splits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semconv.corpus.sequences import Log, first_of_events, first_of_items, global_time, leave_one_out, sort_log

ROWS = st.lists(st.tuples(st.sampled_from([0, 1, 2, 65_535, 65_536, 70_000]), st.integers(0, 3), st.integers(0, 4)))


def log_of(rows: list[tuple[int, int, int]]) -> Log:
    columns = np.array(rows, np.int64).reshape(-1, 3).T
    return Log(columns[0].astype(np.int32), columns[1].astype(np.int32), columns[2])


def rows_of(log: Log) -> list[tuple[int, int, int]]:
    return list(zip(log.users.tolist(), log.items.tolist(), log.order.tolist(), strict=True))


@settings(deadline=None)
@given(ROWS)
def test_the_log_is_sorted_by_user_and_time_and_ties_keep_their_order(rows: list[tuple[int, int, int]]) -> None:
    assert rows_of(sort_log(log_of(rows))) == sorted(rows, key=lambda row: (row[0], row[2]))


@settings(deadline=None)
@given(ROWS)
def test_repetitions_are_found_and_the_first_stays(rows: list[tuple[int, int, int]]) -> None:
    rows = sorted(rows, key=lambda row: (row[0], row[2]))
    log = log_of(rows)
    assert rows_of(log.take(first_of_events(log))) == list(dict.fromkeys(rows))
    first = {(user, item): row for row, (user, item, _) in reversed(list(enumerate(rows)))}
    assert np.flatnonzero(first_of_items(log)).tolist() == sorted(first.values())


def test_leave_one_out_gives_short_users_to_training() -> None:
    train, valid = leave_one_out(np.array([1, 2, 3, 10]))
    assert train.tolist() == [1, 2, 1, 8]
    assert valid.tolist() == [1, 2, 2, 9]


def test_global_time_cuts_everybody_at_the_same_two_points() -> None:
    order = np.array([0, 10, 20, 70, 80, 90, 5, 15, 85, 95])
    train, valid = global_time(order, np.array([6, 3, 1]), 0.2, 0.2)
    # Sorted: 0 5 10 15 20 70 | 80 85 | 90 95.
    assert train.tolist() == [4, 2, 0]
    assert valid.tolist() == [5, 3, 0]


def test_global_time_keeps_a_tie_on_one_side() -> None:
    order = np.array([1, 2, 3, 3, 3, 3, 3, 3, 4, 5])
    train, valid = global_time(order, np.array([10]), 0.3, 0.2)
    assert (train.tolist(), valid.tolist()) == ([2], [8])


@settings(deadline=None)
@given(st.lists(st.lists(st.integers(0, 20), min_size=1, max_size=6), min_size=1, max_size=8))
def test_global_time_leaks_nothing(histories: list[list[int]]) -> None:
    order = np.array([time for times in histories for time in sorted(times)])
    lengths = np.array([len(times) for times in histories])
    train, valid = global_time(order, lengths, 0.2, 0.2)
    starts = np.cumsum(lengths) - lengths
    parts = [[], [], []]
    for start, length, one, two in zip(starts, lengths, train, valid, strict=True):
        for part, (low, high) in zip(parts, ((0, one), (one, two), (two, length)), strict=True):
            part += order[start + low : start + high].tolist()
    for earlier, later in ((parts[0], parts[1]), (parts[0], parts[2]), (parts[1], parts[2])):
        assert not earlier or not later or max(earlier) < min(later)


@pytest.mark.parametrize("share", [0.0])
def test_global_time_without_a_share_tests_nothing(share: float) -> None:
    train, valid = global_time(np.array([1, 2, 3]), np.array([3]), share, share)
    assert (train.tolist(), valid.tolist()) == ([3], [3])

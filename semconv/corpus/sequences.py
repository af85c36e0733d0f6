"""From a log of interactions to every user's ordered items, and where training ends in each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from semconv.artifacts.ragged import Int32, Int64


@dataclass(frozen=True)
class Log:
    """Interactions as parallel arrays: user and item codes int32, ``order`` int64 (a time or a position)."""

    users: Int32
    items: Int32
    order: Int64

    def __len__(self) -> int:
        return len(self.users)

    def take(self, rows: npt.NDArray[np.integer] | npt.NDArray[np.bool_]) -> Log:
        """The rows that an index or a mask names."""
        return Log(self.users[rows], self.items[rows], self.order[rows])


def sort_log(log: Log) -> Log:
    """The log by user, then by time or position; what is tied keeps its order."""
    if np.any(np.diff(log.order) < 0):
        log = log.take(np.argsort(log.order, kind="stable"))
    # Two passes over 16 bits each: numpy sorts 16-bit keys by radix, in linear time.
    for shift in (0, 16):
        short = ((log.users >> shift) & 0xFFFF).astype(np.uint16)
        if np.any(short[1:] < short[:-1]):
            log = log.take(np.argsort(short, kind="stable"))
    return log


def first_of_events(log: Log) -> npt.NDArray[np.bool_]:
    """Of a sorted log, the rows that do not repeat an earlier one of the same user, item and time."""
    keep = np.ones(len(log), bool)
    same = (log.users[1:] == log.users[:-1]) & (log.order[1:] == log.order[:-1])
    if not same.any():
        return keep
    tied = np.zeros(len(log), bool)
    tied[1:] |= same
    tied[:-1] |= same
    group = np.concatenate([[0], np.cumsum(~same)])[tied]
    keep[tied] = _first(group, log.items[tied])
    return keep


def first_of_items(log: Log) -> npt.NDArray[np.bool_]:
    """Of a sorted log, the rows that are the first of their user and item."""
    return _first(log.users.astype(np.int64), log.items)


def _first(groups: Int64, items: Int32) -> npt.NDArray[np.bool_]:
    keys = groups * (int(items.max(initial=0)) + 1) + items
    keep = np.zeros(len(keys), bool)
    keep[np.unique(keys, return_index=True)[1]] = True
    return keep


def leave_one_out(lengths: Int64) -> tuple[Int64, Int64]:
    """``train_end`` and ``valid_end`` when the last item tests and the last but one validates.

    A user with fewer than three items only trains.
    """
    enough = lengths >= 3
    return np.where(enough, lengths - 2, lengths), np.where(enough, lengths - 1, lengths)


def global_time(order: Int64, lengths: Int64, valid_fraction: float, test_fraction: float) -> tuple[Int64, Int64]:
    """``train_end`` and ``valid_end`` when two points in time, the same for all users, part the interactions.

    ``order`` holds the times of all users' rows, each user's ascending. The points are the times of the interactions
    that rank first in the last ``valid_fraction + test_fraction`` and ``test_fraction`` of all; what happened at a
    point falls after it, so the shares are exact up to ties.
    """
    rows = len(order)
    ranks = [round(rows * (1 - valid_fraction - test_fraction)), round(rows * (1 - test_fraction))]
    by_time = np.sort(order)
    points = [int(by_time[rank]) if rank < rows else int(by_time[-1]) + 1 for rank in ranks]
    owners = np.repeat(np.arange(len(lengths)), lengths)
    train_end, valid_end = (
        np.bincount(owners[order < point], minlength=len(lengths)).astype(np.int64) for point in points
    )
    return train_end, valid_end

"""Timing systems in turn, so that a machine that slows down for a while slows all of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch

Timed = Callable[[], Any]
Laps = dict[str, list[float]]
"""Seconds of every system in every round."""


def run_laps(timed: dict[str, Timed], rounds: int) -> Laps:
    """Seconds of each in every round, measured in turn, after one round that is not counted."""
    seconds: Laps = {name: [] for name in timed}
    for lap in range(rounds + 1):
        for name, run in timed.items():
            began = time.perf_counter()
            run()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            if lap:
                seconds[name].append(time.perf_counter() - began)
    return seconds


def ratio(laps: Laps, one: str, other: str) -> float:
    """How much longer one takes than another: the median of the rounds' own ratios."""
    return median(mine / theirs for mine, theirs in zip(laps[one], laps[other], strict=True))

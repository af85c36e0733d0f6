"""Batches made ahead come in order, few at a time, and errors come out where the batch would have."""

from __future__ import annotations

import threading

import pytest

from semconv.training.ahead import ReadAhead


def test_what_was_made_comes_in_order() -> None:
    with ReadAhead(lambda step: step * step, range(50), depth=3) as ahead:
        assert [ahead.take() for _ in range(50)] == [step * step for step in range(50)]
    assert ahead.waited_s >= 0


def test_no_more_than_depth_are_made_ahead() -> None:
    made, full = [], threading.Event()

    def make(step: int) -> int:
        made.append(step)
        if len(made) == 4:
            full.set()
        return step

    with ReadAhead(make, range(100), depth=3) as ahead:
        assert full.wait(10)  # three lie ready and a fourth waits for room
        assert ahead.take() == 0
        assert len(made) <= 5
    assert len(made) <= 5
    assert "read-ahead" not in {thread.name for thread in threading.enumerate()}


def test_an_error_comes_out_at_its_step_and_ends_the_thread() -> None:
    def make(step: int) -> int:
        if step == 2:
            raise ValueError("no such example")
        return step

    with ReadAhead(make, range(9)) as ahead:
        assert [ahead.take(), ahead.take()] == [0, 1]
        with pytest.raises(ValueError, match="no such example"):
            ahead.take()
    assert "read-ahead" not in {thread.name for thread in threading.enumerate()}


def test_an_error_in_the_loop_ends_the_thread() -> None:
    with pytest.raises(KeyError), ReadAhead(lambda step: step, range(1000)):
        raise KeyError
    assert "read-ahead" not in {thread.name for thread in threading.enumerate()}

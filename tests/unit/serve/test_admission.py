"""Admission: who would wait in vain is told so at once, and a model that is well again is found out."""

from __future__ import annotations

from contextlib import ExitStack, suppress

import pytest

from serve.admission import Admission
from serve.questions import LiveError

BUDGET_S = 2.0


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def admission(clock: Clock) -> Admission:
    return Admission(64, clock)


def answered(admission: Admission, clock: Clock, seconds: float) -> None:
    with admission.admit(BUDGET_S):
        clock.now += seconds


def unanswered(admission: Admission, clock: Clock) -> None:
    with suppress(TimeoutError), admission.admit(BUDGET_S):
        clock.now += BUDGET_S
        raise TimeoutError


def admitted(admission: Admission) -> int:
    """How many are let in together now."""
    with ExitStack() as inside:
        with suppress(LiveError):
            while True:
                inside.enter_context(admission.admit(BUDGET_S))
        return admission.waiting


def test_as_many_are_let_in_as_leave_in_time(admission: Admission, clock: Clock) -> None:
    for _ in range(50):
        answered(admission, clock, 0.25)
    assert admission.pace == pytest.approx(0.25)
    assert admitted(admission) == 8


def test_a_batch_leaves_together_and_counts_as_many_departures(admission: Admission, clock: Clock) -> None:
    for _ in range(50):
        with ExitStack() as inside:
            for _ in range(16):
                inside.enter_context(admission.admit(BUDGET_S))
            clock.now += 0.8
    assert admission.pace == pytest.approx(0.05)
    assert admitted(admission) in (39, 40)


def test_without_a_measure_the_queue_alone_is_the_limit(clock: Clock) -> None:
    assert admitted(Admission(5, clock)) == 5


def test_one_at_a_time_tries_a_model_that_does_not_answer_until_it_does(admission: Admission, clock: Clock) -> None:
    for _ in range(20):
        unanswered(admission, clock)
    assert admitted(admission) == 1
    for _ in range(10):
        answered(admission, clock, 0.02)
    assert 2 <= admitted(admission) < 16
    for _ in range(200):
        answered(admission, clock, 0.02)
    assert admitted(admission) == 64


def test_those_who_gave_up_together_all_say_that_nothing_moved(admission: Admission, clock: Clock) -> None:
    with suppress(TimeoutError), ExitStack() as inside:
        for _ in range(16):
            inside.enter_context(admission.admit(BUDGET_S))
        clock.now += BUDGET_S
        raise TimeoutError
    assert admission.pace == pytest.approx(BUDGET_S)
    assert admission.waiting == 0


def test_who_fails_at_once_says_nothing_of_the_pace(admission: Admission) -> None:
    with suppress(LiveError), admission.admit(BUDGET_S):
        raise LiveError("down")
    assert (admission.pace, admission.waiting) == (None, 0)

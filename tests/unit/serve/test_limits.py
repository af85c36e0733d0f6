"""The token bucket of each key."""

from __future__ import annotations

import pytest

from serve.http import ProblemError
from serve.limits import RateLimit


def allowed(limit: RateLimit, caller: str) -> bool:
    try:
        limit.check(caller)
    except ProblemError as problem:
        return problem.status != 429
    return True


def test_each_key_has_a_second_s_worth_and_gets_more_with_time() -> None:
    now = [100.0]
    limit = RateLimit(4, clock=lambda: now[0])
    assert [allowed(limit, "a") for _ in range(6)] == [True] * 4 + [False] * 2
    assert allowed(limit, "b")
    now[0] += 0.5
    assert [allowed(limit, "a") for _ in range(3)] == [True, True, False]
    now[0] += 3600
    assert [allowed(limit, "a") for _ in range(5)] == [True] * 4 + [False]


def test_less_than_one_a_second_is_possible_and_says_how_long_to_wait() -> None:
    now = [0.0]
    limit = RateLimit(0.1, clock=lambda: now[0])
    assert allowed(limit, "a")
    with pytest.raises(ProblemError) as caught:
        limit.check("a")
    assert dict(caught.value.headers)[b"retry-after"] == b"10"
    now[0] += 10
    assert allowed(limit, "a")


def test_zero_is_no_limit() -> None:
    limit = RateLimit(0)
    assert all(allowed(limit, "a") for _ in range(1000))

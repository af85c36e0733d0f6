from __future__ import annotations

from collections import Counter

import pytest

from semconv.errors import SettingError
from serve.experiments import BUCKETS, MAIN, bucket_of, check_shares, variant_of

USERS = [f"user-{number}" for number in range(20_000)]


def test_a_bucket_stays_for_ever() -> None:
    """Written down, so that a change of the hash, which would move every user, does not go unnoticed."""
    assert [bucket_of(user, "semconv") for user in ("ann", "bob", "ünï\ud800")] == [3016, 3321, 821]


def test_buckets_are_even() -> None:
    buckets = [bucket_of(user, "salt") for user in USERS]
    assert 0 <= min(buckets) < max(buckets) < BUCKETS
    tenths = Counter(bucket // 1_000 for bucket in buckets)
    assert all(abs(count - 2_000) < 5 * 2_000**0.5 for count in tenths.values())


def test_shares_are_what_they_claim() -> None:
    counts = Counter(variant_of(user, "salt", {MAIN: 0.0, "new": 0.1, "newer": 0.25}) for user in USERS)
    assert counts["new"] / len(USERS) == pytest.approx(0.1, abs=0.01)
    assert counts["newer"] / len(USERS) == pytest.approx(0.25, abs=0.015)
    assert sum(counts.values()) == len(USERS)
    assert counts[MAIN] > 0


def test_everybody_sees_the_run_where_nothing_else_is_claimed() -> None:
    assert variant_of("ann", "salt", {}) == variant_of("ann", "salt", {MAIN: 0.0}) == MAIN
    assert variant_of("ann", "salt", {"off": 0.0}) == MAIN
    assert variant_of("ann", "salt", {"all": 1.0}) == "all"
    assert {variant_of(user, "salt", {"a": 0.5, "b": 0.5}) for user in USERS} == {"a", "b"}


def test_a_growing_share_keeps_its_users() -> None:
    small = {user for user in USERS if variant_of(user, "salt", {"new": 0.1}) == "new"}
    large = {user for user in USERS if variant_of(user, "salt", {"new": 0.2}) == "new"}
    assert small < large


def test_another_salt_draws_anew() -> None:
    one, other = (
        {user for user in USERS if variant_of(user, salt, {"new": 0.1}) == "new"} for salt in ("one", "other")
    )
    assert len(one & other) / len(one) == pytest.approx(0.1, abs=0.03)


def test_shares_beyond_all_users_are_refused() -> None:
    check_shares({MAIN: 0.0, "a": 0.7, "b": 0.3})
    with pytest.raises(SettingError, match=r"1\.1 of the users"):
        check_shares({"a": 0.8, "b": 0.3})

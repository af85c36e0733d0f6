"""The arithmetic of the precache benchmark, by hand."""

from __future__ import annotations

import pytest

from benchmarks.precache_pace import Pace


def test_the_pace_is_that_of_the_second_half() -> None:
    # Two units each second after the first; the second half is units 3 to 6, from the end of unit 3.
    found = Pace.of([9, 9, 10, 20, 30, 40], [5.0, 9.0, 10.0, 10.5, 11.0, 12.0])
    assert found == Pace(users_per_s=(20 + 30 + 40) / 2, first_s=5.0, whole_s=12.0)
    assert Pace.of([3, 4], [1.0, 3.0]).users_per_s == pytest.approx(2.0)

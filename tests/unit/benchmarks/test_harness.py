"""The exponent of growth, against exponents worked out by hand."""

from __future__ import annotations

import pytest

from benchmarks.harness import growth


@pytest.mark.parametrize(
    ("seconds", "exponent"),
    [
        ([5.0, 5.0, 5.0], 0.0),
        ([3.0, 30.0, 300.0], 1.0),
        ([2.0, 200.0, 20_000.0], 2.0),
        # Logs of the sizes 1, 2, 3 and of the seconds 0, 2, 3: the slope is (3 - 0) / 2.
        ([1.0, 100.0, 1000.0], 1.5),
    ],
)
def test_growth_is_the_slope_of_the_logarithms(seconds: list[float], exponent: float) -> None:
    assert growth([10, 100, 1000], seconds) == pytest.approx(exponent)

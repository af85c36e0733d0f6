"""What is rounding and not a difference."""

RESOLUTION = 1e-12
"""Variance below this share of the mean square is float32 rounding of a constant, squared."""

"""Evaluation: rankings of held-out items into metrics with intervals, and the report a person reads."""

"""What is measured."""

from __future__ import annotations

from semconv.config.leaves import Positive, Section, operational, setting


class EvaluateSettings(Section):
    """What is measured, and on how many processes."""

    at: tuple[Positive, ...] = setting((1, 5, 10, 20, 50), "cut-offs of every metric (items)", min_length=1)
    bootstrap: Positive = setting(1000, "bootstrap resamples of users behind each 95% interval")
    truncated_users: int = setting(
        2000, "test users ranked again with only the last 0, 1 and 2 events of their history; 0 leaves that out", ge=0
    )
    examples: int = setting(20, "example users on the report's page", ge=0)
    batch_size: Positive = operational(256, "users per batch")
    workers: Positive = operational(1, "scoring processes")

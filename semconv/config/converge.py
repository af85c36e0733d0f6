"""What is recommended, and how systems converge."""

from __future__ import annotations

from semconv.config.leaves import Positive, Section, operational, setting


class ConvergeSettings(Section):
    """One ranking of the generative model and the traditional recommenders together."""

    candidates: Positive = setting(100, "items that each system proposes for a history")
    beams: Positive = setting(100, "beams of the generative search behind its proposals")
    users: Positive = setting(10_000, "validation users that the blend is fitted on, at most")
    hidden: int = setting(16, "width of the network in the blend; 0 blends linearly", ge=0)
    epochs: Positive = setting(12, "passes over those users")
    batch_size: Positive = operational(128, "users per batch")
    workers: Positive = operational(1, "scoring processes")

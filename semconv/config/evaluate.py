"""What is measured."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from semconv.config.leaves import Positive, Section, operational, setting

Seeds = Annotated[tuple[Annotated[int, Field(ge=0)], ...], AfterValidator(lambda seeds: tuple(sorted(set(seeds))))]
"""A set of seeds, in order."""


class EvaluateSettings(Section):
    """What is measured, and on how many processes."""

    at: tuple[Positive, ...] = setting((1, 5, 10, 20, 50), "cut-offs of every metric (items)", min_length=1)
    bootstrap: Positive = setting(1000, "bootstrap resamples of users behind each 95% interval")
    truncated_users: int = setting(
        2000,
        "test users who are recommended for once more from the last 0, 1 and 2 events of their history alone, and at "
        "most as many whose next item is new, from new items alone; 0 leaves both out",
        ge=0,
    )
    examples: int = setting(20, "example users on the report's page", ge=0)
    seeds: Seeds = setting(
        (),
        "other seeds: pipelines.run does the whole job with each of them too, in runs beside this one, and the report "
        "tells how far their figures lie apart",
    )
    refit: bool = setting(
        False,
        "pipelines.run does the whole job once more on training and validation interactions together, in a run beside "
        "this one, with the choices made here, and the report tells what that reaches",
    )
    batch_size: Positive = operational(256, "users per batch")
    workers: Positive = operational(1, "scoring processes")

    def idle(self) -> frozenset[str]:
        """What is not done besides is not told of."""
        return frozenset(name for name, done in (("seeds", self.seeds), ("refit", self.refit)) if not done)

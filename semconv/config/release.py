"""Releases, and the nightly cycle that makes them."""

from __future__ import annotations

from semconv.config.leaves import Fraction, Section, operational


class ReleaseSettings(Section):
    """Where releases lie, when the gate refuses one, and whether the service is swapped with them."""

    store: str | None = operational(
        None, "folder or URI (s3://bucket/path) of the releases and their snapshots; none: <run.root>/releases"
    )
    keep: int = operational(5, "snapshots of releases that are kept; two at least, so that there is a way back", ge=2)
    service: bool = operational(
        False, "promotion and roll-back swap the running service too, and are refused where it refuses or is not there"
    )
    coverage_drop: Fraction = operational(
        0.05, "share that the items recommended to anybody, and the users, may be fewer by"
    )
    size_growth: float = operational(1.5, "times that a snapshot may be as large as the current one", ge=1)
    latency_growth: float = operational(
        2.0, "times that a lookup, and a ranking, may take as long as the current release's, measured now", ge=1
    )
    timed_users: int = operational(
        16, "users that are ranked for by both models to compare their pace; 0: lookups are measured alone", ge=0
    )


class NightSettings(Section):
    """What a night starts from beside the current release and the exported events (precache.events)."""

    items: str | None = operational(
        None,
        "folder that holds the catalogue as it is now, laid out as the corpus settings say; items that the released "
        "run does not know join it",
    )
    epochs: int = operational(
        0, "passes of a fine-tune of the model over new events and items; 0: the model stays as it is", ge=0
    )

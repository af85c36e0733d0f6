"""How all systems become one ranking."""

from __future__ import annotations

from semconv.config.leaves import Positive, Section, operational, setting


class ConvergeSettings(Section):
    """Fitting the blend of the generative model and the traditional recommenders."""

    users: Positive = setting(10_000, "validation users that the blend is fitted on, at most")
    wish_users: int = setting(
        3000,
        "validation users, of those, that are given a wish to fit the steered blend on; 0: none, no steering",
        ge=0,
    )
    hidden: int = setting(16, "width of the network in the blend; 0 blends linearly", ge=0)
    epochs: Positive = setting(12, "passes over those users")
    blends_of: str | None = setting(
        None,
        "run under the same root whose blends are taken over (evaluate.refit); none fits them",
        pattern=r"^\w[\w.-]*$",
    )
    batch_size: Positive = operational(128, "users per batch")
    workers: Positive = operational(1, "scoring processes")

    def idle(self) -> frozenset[str]:
        """Nothing is fitted where blends are taken over."""
        if self.blends_of is None:
            return frozenset({"blends_of"})
        return frozenset({"users", "wish_users", "hidden", "epochs"})

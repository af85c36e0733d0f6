"""What is recommended: one definition for evaluation, precache and live service."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator

from semconv.config.leaves import Positive, Section, setting

ItemIds = Annotated[tuple[str, ...], AfterValidator(lambda ids: tuple(sorted(set(ids))))]
"""A set of item ids; in order, so that the same set is the same setting."""


class RecommendSettings(Section):
    """What is recommended, wherever it is asked for, and the rules that a shop sets for it."""

    system: Literal["converged", "generative"] = setting(
        "converged", "converged: all systems as one ranking; generative: the aligned model alone"
    )
    beams: Positive = setting(100, "beams of the generative search")
    precision: Literal["float32", "bf16"] = setting(
        "float32",
        "arithmetic of the generative search; bf16 is quicker where the hardware has it, and ranks near-ties otherwise",
    )
    candidates: Positive = setting(100, "items that each system proposes for a history; converged ranks these")
    per_category: int = setting(
        0, "items of one category in a list, at most, each item being of its rarest; 0: no cap", ge=0
    )
    blocked: ItemIds = setting((), "ids of items that are never recommended")

    def idle(self) -> frozenset[str]:
        """A rule that is not set changes nothing, nor does the precision that there was before it could be chosen."""
        unset = {
            "per_category": self.per_category == 0,
            "blocked": not self.blocked,
            "precision": self.precision == "float32",
        }
        return frozenset(name for name, changes_nothing in unset.items() if changes_nothing)

"""What is recommended: one definition for evaluation, precache and live service."""

from __future__ import annotations

from typing import Literal

from semconv.config.leaves import Positive, Section, setting


class RecommendSettings(Section):
    """What is recommended, wherever it is asked for."""

    system: Literal["converged", "generative"] = setting(
        "converged", "converged: all systems as one ranking; generative: the aligned model alone"
    )
    beams: Positive = setting(100, "beams of the generative search")
    candidates: Positive = setting(100, "items that each system proposes for a history; converged ranks these")

    def idle(self) -> frozenset[str]:
        """The aligned model alone ranks what its beams find."""
        return frozenset({"candidates"}) if self.system == "generative" else frozenset()

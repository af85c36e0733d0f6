"""The blend: one score of all that is known about an item for a history.

B histories, M candidates, F features.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from semconv.artifacts import Convergence
from semconv.errors import ArtifactError
from semconv.recommend.evidence import Evidence, Teller

FAR = 10.0
"""Deviations from its mean that a feature counts, at most: what no candidate of the fit was like decides nothing."""
HARDLY = 1e-5
"""Deviation that is no more than rounding, over a feature's mean."""


class Blend(nn.Module):
    """A linear score of standardised features, plus that of a small network where ``hidden`` is more than 0."""

    def __init__(self, features: Sequence[str], hidden: int) -> None:
        super().__init__()
        self.features = tuple(features)
        self.hidden = hidden
        width = len(self.features)
        self.register_buffer("mean_F", torch.zeros(width))
        self.register_buffer("deviation_F", torch.ones(width))
        self.linear = nn.Linear(width, 1, bias=False)
        nn.init.zeros_(self.linear.weight)
        self.network = _network(width, hidden) if hidden else None

    mean_F: torch.Tensor
    deviation_F: torch.Tensor

    def forward(self, features_BMF: torch.Tensor) -> torch.Tensor:
        """Scores, float32 (B, M): log-probabilities but for a constant of the history."""
        standard_BMF = ((features_BMF - self.mean_F) / self.deviation_F).clamp(-FAR, FAR)
        scores_BM1 = self.linear(standard_BMF)
        if self.network is not None:
            scores_BM1 = scores_BM1 + self.network(standard_BMF)
        scores_BM: torch.Tensor = scores_BM1[..., 0]
        return scores_BM

    def standardise(self, evidence: Evidence) -> None:
        """Take means and deviations from the candidates of ``evidence``; a feature that hardly varies keeps 1."""
        known_XF = evidence.features_BMF[evidence.live]
        self.mean_F.copy_(known_XF.mean(0))
        deviation_F = known_XF.std(0)
        varies_F = deviation_F > HARDLY * self.mean_F.abs().clamp(min=1.0)
        self.deviation_F.copy_(torch.where(varies_F, deviation_F, torch.ones_like(deviation_F)))

    def described(self) -> dict[str, Any]:
        """All of it as plain JSON values."""
        weights = {name: value.tolist() for name, value in self.state_dict().items()}
        return {"features": list(self.features), "hidden": self.hidden, "weights": weights}

    @classmethod
    def of(cls, described: dict[str, Any]) -> Blend:
        """What `described` gave, ready to score."""
        blend = cls(described["features"], described["hidden"])
        blend.load_state_dict({name: torch.tensor(value) for name, value in described["weights"].items()})
        return blend.eval().requires_grad_(False)


def _network(width: int, hidden: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, hidden), nn.GELU(), nn.Linear(hidden, 1)
    )


def read_blend(artifact: Convergence, name: str, sources: Sequence[Teller]) -> Blend:
    """One of the blends; raises `ArtifactError` unless it was fitted on the features of these sources."""
    blend = Blend.of(artifact.blends[name])
    features = tuple(feature for source in sources for feature in source.features)
    if blend.features != features:
        changed = sorted(set(blend.features) ^ set(features)) or ["their order"]
        raise ArtifactError(
            f"{artifact.path} was fitted on other evidence than this run has: {', '.join(changed)}",
            "Redo the stage converge",
        )
    return blend

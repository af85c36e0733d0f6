"""Convergence: how the evidence of all systems is weighed.

blend.json    ``blends`` by name ("converged", "converged_without_generative"): features, weights; ``validation``: what
              each reached on validation users that it was not fitted on, what it reaches without each source
              (``without``), and how many users there were
"""

from __future__ import annotations

from semconv.artifacts.artifact import Artifact

FILE = "blend.json"


class Convergence(Artifact):
    """See the module's own text for the layout."""

    kind = "blend"

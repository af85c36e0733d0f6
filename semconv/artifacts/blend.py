"""Convergence: how the evidence of all systems is weighed.

blend.json    ``blends`` by name, "converged", "converged_without_generative" and, where there are wishes, "steered":
              their features and weights;
              ``validation``: Recall@10 and NDCG@10 of ``users`` validation users, none ranked for by a blend fitted on
              it: ``converged``, and ``without`` each source; ``candidates_hold_target``: the share of those users
              whose item was among the candidates at all; ``steering``: where there are wishes, the same of users with
              a wish that describes their item: ``users``, ``candidates_hold_target``, ``steered``
"""

from __future__ import annotations

import json
from functools import cached_property
from typing import Any

from semconv.artifacts.artifact import Artifact

FILE = "blend.json"


class Convergence(Artifact):
    """See the module's own text for the layout."""

    kind = "blend"

    @cached_property
    def description(self) -> dict[str, Any]:
        """The content of ``blend.json``."""
        return dict(json.loads((self.path / FILE).read_text()))

    @property
    def blends(self) -> dict[str, dict[str, Any]]:
        """Each blend by name, as plain JSON values."""
        return dict(self.description["blends"])

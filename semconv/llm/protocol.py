"""What the constrained search asks of a model, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import torch

from semconv.artifacts.ragged import Int32
from semconv.llm.memory import Memory


class Extended(NamedTuple):
    """How B * K beams go on from those of the call before; all (B, K).

    ``parents_BK`` int64: the earlier beam that each one continues; ``codes_BK`` int64: the code it was extended by;
    ``asked_BK`` bool: whether its continuations need scores. A beam that is not asked about may be continued later.
    """

    parents_BK: torch.Tensor
    codes_BK: torch.Tensor
    asked_BK: torch.Tensor


class BeamModel(Protocol):
    """A model that scores the next code of partial code tuples, level by level.

    B histories, K live beams, X of them asked about, L ``levels``, C ``codes`` per level. The state is the model's
    own; the search only carries it from call to call, and continues each state at most once.

    Scores are log-probabilities over everything the model could say where the search wants them ``normalised``;
    otherwise each row may be off by a constant of its own, which a model saves the work of finding.
    """

    levels: int
    codes: int
    catalogue: int | None
    """`catalogue_mark` of the codes that the model was given; None when it was given none."""

    def start(self, histories: Sequence[Int32], beams: int, *, normalised: bool) -> tuple[Any, torch.Tensor]:
        """Read the histories (item indices, oldest first, possibly empty) that at most ``beams`` beams will follow.

        Returns the state and the scores of the first code, float32 (B, C).
        """
        ...

    def step(self, state: Any, level: int, beams: Extended, *, normalised: bool) -> tuple[Any, torch.Tensor]:
        """Extend the beams by the codes chosen at ``level - 1`` and score the codes of ``level``.

        Returns the new state and the scores of the X beams asked about, in order, float32 (X, C).
        """
        ...

    def finish(self, state: Any, items_T: torch.Tensor, rows_T: torch.Tensor) -> torch.Tensor | None:
        """What the model says of whole items for the history at the row beside each, float32 (T); None: nothing.

        It is added to the scores of their codes. ``state`` is what the last call returned.
        """
        ...

    def memory(self, history: int, beams: int) -> Memory:
        """What searching histories of at most ``history`` items takes, beside the search's own."""
        ...

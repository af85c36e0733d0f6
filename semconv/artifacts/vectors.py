"""ItemVectors: what every item says (text) and how people behave around it (behaviour), as matrices.

    vectors.safetensors   text float32 (N, Dt), behaviour float32 (N, Db), has_text bool (N), has_behaviour bool (N)

A row whose ``has_`` flag is false is all zero and stands for "unknown", not for a point in the space.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from semconv.artifacts.artifact import Artifact

if TYPE_CHECKING:
    import torch

FILE = "vectors.safetensors"


class ItemVectors(Artifact):
    """See the module's own text for the layout."""

    kind = "vectors"

    @cached_property
    def _tensors(self) -> dict[str, torch.Tensor]:
        from safetensors.torch import load_file

        return load_file(self.path / FILE)

    @property
    def text(self) -> torch.Tensor:
        """Text vectors, float32 (N, Dt)."""
        return self._tensors["text"]

    @property
    def behaviour(self) -> torch.Tensor:
        """Behaviour vectors, float32 (N, Db)."""
        return self._tensors["behaviour"]

    @property
    def has_text(self) -> torch.Tensor:
        """Whether an item has text, bool (N)."""
        return self._tensors["has_text"]

    @property
    def has_behaviour(self) -> torch.Tensor:
        """Whether an item has training interactions, bool (N)."""
        return self._tensors["has_behaviour"]

    @staticmethod
    def write(
        folder: Path,
        *,
        text: torch.Tensor,
        behaviour: torch.Tensor,
        has_text: torch.Tensor,
        has_behaviour: torch.Tensor,
    ) -> None:
        """Write the matrices; shapes as in the class."""
        from safetensors.torch import save_file

        tensors = {
            "text": text.float(),
            "behaviour": behaviour.float(),
            "has_text": has_text.bool(),
            "has_behaviour": has_behaviour.bool(),
        }
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / FILE)

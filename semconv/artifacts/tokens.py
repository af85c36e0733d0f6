"""ItemTokens: the codes of every item, and the frozen quantizer that gave them.

codes.parquet            one row an item, in item order: item_id string, code_0 .. code_{L-1} int32
quantizer.safetensors    codebooks float32 (L, C, D) and whatever the quantizer needs to encode a new item
quantizer.json           the quantizer's own settings
quality.json             the quality report
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.parquet as pq

from semconv.artifacts.artifact import Artifact
from semconv.artifacts.ragged import Int32

if TYPE_CHECKING:
    import torch


class ItemTokens(Artifact):
    """See the module's own text for the layout."""

    kind = "tokens"

    @property
    def levels(self) -> int:
        """Codes per item, L."""
        return int(self.manifest.settings["tokenize"]["levels"])

    @property
    def codes_per_level(self) -> int:
        """Size of each level's codebook, C."""
        return int(self.manifest.settings["tokenize"]["codes"])

    @cached_property
    def codes(self) -> Int32:
        """Codes of every item, int32 (N, L), each in [0, C)."""
        table = pq.read_table(self.path / "codes.parquet")
        return np.stack([table[f"code_{level}"].to_numpy() for level in range(self.levels)], axis=1).astype(np.int32)

    @cached_property
    def quantizer(self) -> dict[str, torch.Tensor]:
        """The quantizer's tensors; ``codebooks`` float32 (L, C, D) among them."""
        from safetensors.torch import load_file

        return load_file(self.path / "quantizer.safetensors")

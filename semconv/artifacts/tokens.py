"""ItemTokens: the codes of every item, and the frozen quantizer that gave them.

codes.parquet            one row an item, in item order: item_id string, code_0 .. code_{L-1} int32
quantizer.safetensors    codebooks float32 (L, C, D) and whatever the quantizer needs to encode a new item; where a
                         resolver adds a level that tells collisions apart, the codebooks have one level fewer
quantizer.json           the quantizer's own settings
quality.json             the quality report

A version that continues an earlier one (``tokenize.append``) has besides:

reserved.parquet         as codes.parquet: items that left the catalogue, whose codes nobody else gets
versions.json            ancestors: fingerprints of the versions it continues, oldest first
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from semconv.artifacts.artifact import Artifact
from semconv.artifacts.ragged import Int32

if TYPE_CHECKING:
    import torch

CODES, RESERVED, VERSIONS = "codes.parquet", "reserved.parquet", "versions.json"


class ItemTokens(Artifact):
    """See the module's own text for the layout."""

    kind = "tokens"

    @property
    def levels(self) -> int:
        """Codes per item, L."""
        return int(self.codes.shape[1])

    @property
    def codes_per_level(self) -> int:
        """Size of each level's codebook, C."""
        return int(self.manifest.settings["tokenize"]["codes"])

    @cached_property
    def codes(self) -> Int32:
        """Codes of every item, int32 (N, L), each in [0, C)."""
        return _codes(self.path / CODES)

    @cached_property
    def item_ids(self) -> list[str]:
        """Id of every item, in the order of ``codes``."""
        return _item_ids(self.path / CODES)

    @cached_property
    def reserved(self) -> tuple[list[str], Int32]:
        """Items that left the catalogue, by id, and the codes that stay theirs, int32 (R, L)."""
        stored = self.path / RESERVED
        return (_item_ids(stored), _codes(stored)) if stored.exists() else ([], self.codes[:0])

    @cached_property
    def ancestors(self) -> tuple[str, ...]:
        """Fingerprints of the versions that this one continues, oldest first; none for one that was fitted."""
        stored = self.path / VERSIONS
        return tuple(json.loads(stored.read_text())["ancestors"]) if stored.exists() else ()

    def descends_from(self, fingerprint: str) -> bool:
        """Whether the version of this fingerprint is this one or an ancestor.

        Then every item that it knew has the same codes here, live or reserved, from the same quantizer.
        """
        return fingerprint in (*self.ancestors, self.fingerprint)

    @cached_property
    def quantizer(self) -> dict[str, torch.Tensor]:
        """The quantizer's tensors; ``codebooks`` float32 (L, C, D) among them."""
        from safetensors.torch import load_file

        return load_file(self.path / "quantizer.safetensors")


def write_codes(path: Path, item_ids: Sequence[str], codes_NL: npt.NDArray[np.integer[Any]]) -> None:
    """Write ``codes.parquet`` or ``reserved.parquet``."""
    columns = {f"code_{level}": pa.array(codes_N, pa.int32()) for level, codes_N in enumerate(codes_NL.T)}
    pq.write_table(pa.table({"item_id": pa.array(item_ids, pa.string()), **columns}), path)


def _codes(path: Path) -> Int32:
    names = [f"code_{level}" for level in range(len(pq.read_schema(path).names) - 1)]
    table = pq.read_table(path, columns=names)
    return np.stack([table[name].to_numpy() for name in names], axis=1).astype(np.int32)


def _item_ids(path: Path) -> list[str]:
    return list(pq.read_table(path, columns=["item_id"])["item_id"].to_pylist())

"""Items to tokens, whole: fuse, quantize, tell collisions apart, and store what encodes the next item."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from safetensors.torch import save_file

from semconv.artifacts import ItemTokens, ItemVectors
from semconv.config import TokenizeSettings
from semconv.progress import Report, silent
from semconv.tokens.collisions import resolve_collisions
from semconv.tokens.fusion import Fusion, Modality
from semconv.tokens.quality import quality_report
from semconv.tokens.quantizer import Quantizer
from semconv.tokens.residual_kmeans import ResidualKMeans


@dataclass(frozen=True)
class ItemTokenizer:
    """A frozen fusion and quantizer."""

    fusion: Fusion
    quantizer: Quantizer

    @classmethod
    def open(cls, tokens: ItemTokens) -> ItemTokenizer:
        """The tokenizer that gave these tokens."""
        return cls(Fusion.of(tokens.quantizer), ResidualKMeans.of(tokens.quantizer))

    def encode(self, modalities: dict[str, Modality]) -> torch.Tensor:
        """Nearest codes of items seen or unseen, int64 (N, L); collisions are not resolved."""
        return self.quantizer.encode(self.fusion(modalities))


@dataclass(frozen=True)
class Tokenized:
    """Codes int64 (N, L) of the items fitted on, the tokenizer, and the quality report."""

    codes_NL: torch.Tensor
    tokenizer: ItemTokenizer
    quality: dict[str, Any]

    def write(self, folder: Path, item_ids: list[str]) -> None:
        """Write the files of `ItemTokens`."""
        columns = {
            f"code_{level}": pa.array(codes_N.numpy(), pa.int32()) for level, codes_N in enumerate(self.codes_NL.T)
        }
        pq.write_table(pa.table({"item_id": pa.array(item_ids, pa.string()), **columns}), folder / "codes.parquet")
        fusion, quantizer = self.tokenizer.fusion, self.tokenizer.quantizer
        save_file({**quantizer.tensors(), **fusion.tensors()}, folder / "quantizer.safetensors")
        description = {"quantizer": "residual_kmeans", "modalities": dict(fusion.weights)}
        (folder / "quantizer.json").write_text(json.dumps(description, indent=2) + "\n")
        (folder / "quality.json").write_text(json.dumps(self.quality, indent=2) + "\n")


def modalities_of(vectors: ItemVectors, settings: TokenizeSettings) -> dict[str, Modality]:
    """Text and behaviour with their weights."""
    return {
        "text": Modality(vectors.text, vectors.has_text, settings.text_weight),
        "behaviour": Modality(vectors.behaviour, vectors.has_behaviour, settings.behaviour_weight),
    }


def tokenize_items(
    vectors: ItemVectors, settings: TokenizeSettings, *, seed: int, report: Report = silent
) -> Tokenized:
    """Fit a tokenizer on all items and give each its codes.

    Same vectors, settings, seed and thread count: same codes, on CPU. Raises `ArtifactError` on vectors that are not
    finite, or when no item has any.
    """
    modalities = modalities_of(vectors, settings)
    fusion = Fusion.fit(modalities, settings.components)
    fused_ND = fusion(modalities)
    quantizer = ResidualKMeans.fit(
        fused_ND,
        levels=settings.levels,
        codes=settings.codes,
        iterations=settings.iterations,
        seed=seed,
        report=report,
    )
    nearest_NL = quantizer.encode(fused_ND)
    codes_NL = resolve_collisions(quantizer, fused_ND, nearest_NL)
    quality = quality_report(quantizer, fused_ND, codes_NL, nearest_NL)
    return Tokenized(codes_NL, ItemTokenizer(fusion, quantizer), quality)

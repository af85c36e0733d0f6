"""Items to tokens, whole: fuse, quantize, tell collisions apart, and store what encodes the next item."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch.nn import functional as F

from semconv.artifacts import ItemTokens, ItemVectors
from semconv.artifacts.tokens import CODES, write_codes
from semconv.config import TokenizeSettings
from semconv.progress import Report, silent
from semconv.tokens.collisions import resolve_collisions
from semconv.tokens.contrast import PROJECTION, Target, fit_projection
from semconv.tokens.fusion import Fusion, Modality
from semconv.tokens.quality import quality_report
from semconv.tokens.quantizer import Quantizer
from semconv.tokens.registry import open_quantizer
from semconv.tokens.residual_kmeans import ResidualKMeans
from semconv.tokens.rqvae import RqVae
from semconv.tokens.rqvae_training import Cascade, Pull, fit_rqvae

TENSORS, DESCRIPTION, QUALITY = "quantizer.safetensors", "quantizer.json", "quality.json"
_LLM, _BEHAVIOUR = "llm", "behaviour"


@dataclass(frozen=True)
class ItemTokenizer:
    """A frozen fusion and quantizer, the quantizer's name, and its projection (Z, E) into the LLM's space, if any."""

    fusion: Fusion
    quantizer: Quantizer
    name: str = "residual_kmeans"
    projection_ZE: torch.Tensor | None = None

    @classmethod
    def open(cls, tokens: ItemTokens) -> ItemTokenizer:
        """The tokenizer that gave these tokens."""
        name = json.loads((tokens.path / DESCRIPTION).read_text())["quantizer"]
        stored = tokens.quantizer
        return cls(Fusion.of(stored), open_quantizer(name, stored), name, stored.get(PROJECTION))

    def encode(self, modalities: dict[str, Modality]) -> torch.Tensor:
        """Nearest codes of items seen or unseen, int64 (N, L); collisions are not resolved."""
        return self.quantizer.encode(self.fusion(modalities))

    def text_alone(self, text_ND: torch.Tensor, has_N: torch.Tensor) -> dict[str, Modality]:
        """The modalities that the tokenizer reads, of items nobody has bought yet: text (N, D) where ``has_N``."""
        found = {"text": Modality(text_ND, has_N, self.fusion.weights["text"])}
        if _BEHAVIOUR in self.fusion.weights:
            nothing_ND = torch.zeros(1, len(self.fusion.projections[_BEHAVIOUR].mean_D)).expand(len(text_ND), -1)
            found[_BEHAVIOUR] = Modality(nothing_ND, torch.zeros_like(has_N), self.fusion.weights[_BEHAVIOUR])
        return found

    def write(self, folder: Path) -> None:
        """Write ``quantizer.safetensors`` and ``quantizer.json``."""
        projection = {} if self.projection_ZE is None else {PROJECTION: self.projection_ZE.contiguous()}
        tensors = {**self.quantizer.tensors(), **self.fusion.tensors(), **projection}
        save_file(tensors, folder / TENSORS)
        description = {"quantizer": self.name, "modalities": dict(self.fusion.weights)}
        (folder / DESCRIPTION).write_text(json.dumps(description, indent=2) + "\n")


@dataclass(frozen=True)
class Tokenized:
    """Codes int64 (N, L) of the items fitted on, the tokenizer, and the quality report.

    Where ``tokenize.collisions`` is extra, the codes have a column more than the quantizer has levels.
    """

    codes_NL: torch.Tensor
    tokenizer: ItemTokenizer
    quality: dict[str, Any]

    def write(self, folder: Path, item_ids: list[str]) -> None:
        """Write the files of `ItemTokens`."""
        write_codes(folder / CODES, item_ids, self.codes_NL.numpy())
        self.tokenizer.write(folder)
        (folder / QUALITY).write_text(json.dumps(self.quality, indent=2) + "\n")


def modalities_of(vectors: ItemVectors, settings: TokenizeSettings) -> dict[str, Modality]:
    """Text and behaviour with their weights; behaviour at unit length, for its length tells how often an item sells."""
    behaviour_ND = F.normalize(vectors.behaviour, dim=1)
    return {
        "text": Modality(vectors.text, vectors.has_text, settings.text_weight, settings.text_components),
        _BEHAVIOUR: Modality(
            behaviour_ND, vectors.has_behaviour, settings.behaviour_weight, settings.behaviour_components
        ),
    }


def tokenize_items(
    vectors: ItemVectors,
    settings: TokenizeSettings,
    *,
    seed: int,
    words: Target | None = None,
    device: str = "cpu",
    report: Report = silent,
) -> Tokenized:
    """Fit a tokenizer on all items and give each its codes.

    ``words`` are the base LLM's embeddings of the items' titles, for ``tokenize.align_weight`` to pull towards; without
    them there is no projection into the LLM's space. Same vectors, settings, seed and thread count: same codes, on
    CPU. Raises `ArtifactError` on vectors that are not finite, or when no item has any.
    """
    modalities = modalities_of(vectors, settings)
    fusion = Fusion.fit(modalities, settings.whiten)
    fused_ND = fusion(modalities)
    words = words if settings.align_weight and words is not None and bool(words.has.any()) else None
    quantizer: Quantizer
    if settings.quantizer == "rqvae":
        quantizer, projection_ZE = _fit_rqvae(fused_ND, vectors, settings, seed, words, device, report)
    else:
        first_F = _first_level(fusion, settings)
        quantizer, projection_ZE = _fit_residual_kmeans(fused_ND, first_F, settings, seed, words, report)
    nearest_NL = quantizer.encode(fused_ND)
    codes_NL = resolve_collisions(quantizer, fused_ND, nearest_NL, settings.collisions)
    quality = quality_report(quantizer, fused_ND, codes_NL, nearest_NL)
    return Tokenized(codes_NL, ItemTokenizer(fusion, quantizer, settings.quantizer, projection_ZE), quality)


def _first_level(fusion: Fusion, settings: TokenizeSettings) -> torch.Tensor | None:
    """How much each column of the fused vectors counts at the first level, float32 (F); None: all alike."""
    if _BEHAVIOUR not in fusion.weights or len(fusion.weights) == 1:
        return None
    return fusion.columns({_BEHAVIOUR: settings.first_behaviour_factor})


def _fit_residual_kmeans(
    fused_ND: torch.Tensor,
    first_F: torch.Tensor | None,
    settings: TokenizeSettings,
    seed: int,
    words: Target | None,
    report: Report,
) -> tuple[ResidualKMeans, torch.Tensor | None]:
    quantizer = ResidualKMeans.fit(
        fused_ND,
        levels=settings.levels,
        codes=settings.codes,
        iterations=settings.iterations,
        seed=seed,
        parallel=settings.parallel,
        even=settings.even_last,
        first_D=first_F,
        report=report,
    )
    if words is None:
        return quantizer, None
    return quantizer, fit_projection(
        quantizer.decode(quantizer.encode(fused_ND)),
        words,
        temperature=settings.align_temperature,
        steps=settings.align_steps,
        batch_size=settings.rqvae.batch_size,
        seed=seed,
    )


def _fit_rqvae(
    fused_ND: torch.Tensor,
    vectors: ItemVectors,
    settings: TokenizeSettings,
    seed: int,
    words: Target | None,
    device: str,
    report: Report,
) -> tuple[RqVae, torch.Tensor | None]:
    chosen = settings.rqvae
    pulls: dict[str, Pull] = {}
    if words is not None:
        pulls[_LLM] = Pull(words, settings.align_weight, settings.align_temperature)
    if chosen.collaborative_weight and bool(vectors.has_behaviour.any()):
        behaviour = Target.of(_BEHAVIOUR, vectors.behaviour, vectors.has_behaviour)
        pulls[_BEHAVIOUR] = Pull(behaviour, chosen.collaborative_weight, chosen.collaborative_temperature)
    cascade = Cascade(settings.levels, settings.codes, settings.iterations, settings.parallel, settings.even_last)
    quantizer, projections = fit_rqvae(fused_ND, cascade, chosen, seed=seed, pulls=pulls, device=device, report=report)
    return quantizer, projections.get(_LLM)

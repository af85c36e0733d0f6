"""Items that nobody has bought yet: whether codes from text alone start as those of the item that reads most alike."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from semconv.artifacts import ItemVectors, finish, staging
from semconv.config import TokenizeSettings
from semconv.llm.title_embeddings import title_embeddings
from semconv.tokens.contrast import Target
from semconv.tokens.tokenizer import tokenize_items
from semconv.training.align import Inputs

SHARE = 0.1
"""Of the items that have text and interactions, those held out."""


def cold_first_code(inputs: Inputs, settings: TokenizeSettings, seed: int) -> dict[str, Any]:
    """``cold_first_code``: share of held-out items whose first code is that of their nearest text neighbour.

    The tokenizer is fitted without them; they are encoded from text alone; the neighbour, by cosine, is sought among
    the items it was fitted on. ``cold_items``: how many were held out. Nothing where fewer than ten items have both
    modalities, or the tokenizer reads no text.
    """
    if not settings.text_weight:
        return {}
    vectors = inputs.vectors
    both = (vectors.has_text & vectors.has_behaviour).nonzero().flatten().numpy()
    held = torch.from_numpy(np.sort(np.random.default_rng(seed).permutation(both)[: int(SHARE * len(both))]))
    if not len(held):
        return {}
    kept_N = torch.ones(len(vectors.has_text), dtype=torch.bool)
    kept_N[held] = False
    words = None
    if settings.quantizer == "rqvae" and settings.align_weight:
        embeddings_NE, has_N = title_embeddings(inputs.base, inputs.corpus.items["title"].to_pylist())
        words = Target.of("title", embeddings_NE[kept_N], has_N[kept_N])
    with tempfile.TemporaryDirectory() as folder:
        fitted = tokenize_items(subset(vectors, kept_N, Path(folder) / "vectors"), settings, seed=seed, words=words)

    text_HD = vectors.text[held]
    first_H = fitted.tokenizer.encode(fitted.tokenizer.text_alone(text_HD, vectors.has_text[held]))[:, 0]
    readable = vectors.has_text[kept_N].nonzero().flatten()
    unit_nD = torch.nn.functional.normalize(vectors.text[kept_N][readable], dim=1)
    nearest_H = readable[(torch.nn.functional.normalize(text_HD, dim=1) @ unit_nD.T).argmax(dim=1)]
    same_H = first_H == fitted.codes_NL[nearest_H, 0]
    return {"cold_first_code": float(same_H.double().mean()), "cold_items": len(held)}


def subset(vectors: ItemVectors, kept_N: torch.Tensor, path: Path) -> ItemVectors:
    """The vectors of some of the items, as an artifact at ``path``."""
    with staging(path) as folder:
        ItemVectors.write(
            folder,
            text=vectors.text[kept_N],
            behaviour=vectors.behaviour[kept_N],
            has_text=vectors.has_text[kept_N],
            has_behaviour=vectors.has_behaviour[kept_N],
        )
        finish(folder, "vectors", settings={}, inputs={}, counts={}, request="", seconds=0.0)
    return ItemVectors.open(path)

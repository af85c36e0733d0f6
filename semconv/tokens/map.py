"""Vectors as points in the plane, for looking at. Legend: N items, S points, D width."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]
Method = Literal["tsne", "pca"]

MAPPED = 2000

_LEAST = 50
"""Points below which t-SNE has no neighbourhoods to show."""


@dataclass(frozen=True)
class ItemMap:
    """Some of a catalogue's items in the plane: ``items`` int64 (S) at ``places`` (S, 2); ``caption``, plain text."""

    items: Int64
    places: Float64
    caption: str

    @classmethod
    def of(cls, items: Int64, vectors_SD: torch.Tensor, *, space: str, seed: int, method: Method = "tsne") -> ItemMap:
        """The map of these items by their vectors; ``space`` says which those are."""
        places, used = flat_map(vectors_SD, seed, method)
        by = {"tsne": "t-SNE", "pca": "principal components"}[used]
        return cls(items, places, f"{len(items):,} items in {space} space, by {by}")


def mapped_items(has_N: torch.Tensor, seed: int) -> Int64:
    """At most `MAPPED` of the items that have a vector, drawn by ``seed``, ascending, int64 (S)."""
    known = has_N.nonzero().flatten().numpy()
    return np.asarray(np.sort(np.random.default_rng(seed).permutation(known)[:MAPPED]))


def flat_map(vectors_SD: torch.Tensor, seed: int, method: Method = "tsne") -> tuple[Float64, Method]:
    """Places float64 (S, 2), each axis within -1 .. 1, and the method that found them.

    t-SNE (van der Maaten & Hinton 2008) by scikit-learn, started from principal components; where that is not
    installed, or of few points, principal components alone.
    """
    plane_S2 = _principal(vectors_SD)
    if method == "tsne" and len(vectors_SD) >= _LEAST and find_spec("sklearn") is not None:
        spread = np.std(plane_S2[:, 0]) or 1.0
        tsne = import_module("sklearn.manifold").TSNE(init=1e-4 * plane_S2 / spread, random_state=seed, perplexity=30)
        plane_S2 = tsne.fit_transform(vectors_SD.numpy()).astype(np.float64)
    else:
        method = "pca"
    plane_S2 = plane_S2 - plane_S2.sum(axis=0) / max(len(plane_S2), 1)
    reach = np.abs(plane_S2).max(initial=0.0)
    return plane_S2 / (reach or 1.0), method


def _principal(vectors_SD: torch.Tensor) -> Float64:
    """The two directions of largest variance; zeros where there are fewer."""
    if not len(vectors_SD):
        return np.zeros((0, 2))
    centred_SD = vectors_SD.double() - vectors_SD.double().mean(dim=0)
    _, axes_DD = torch.linalg.eigh(centred_SD.T @ centred_SD)
    plane_S2 = torch.zeros(len(vectors_SD), 2, dtype=torch.float64)
    main = axes_DD.flip(1)[:, :2]
    plane_S2[:, : main.shape[1]] = centred_SD @ main
    return plane_S2.numpy()

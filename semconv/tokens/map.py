"""Vectors as points in the plane, for looking at. Legend: S points, D width."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch

Float64 = npt.NDArray[np.float64]
Method = Literal["tsne", "pca"]

_LEAST = 50
"""Points below which t-SNE has no neighbourhoods to show."""


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

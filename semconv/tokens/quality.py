"""How good an index of item codes is: whether it tells items apart, uses its codes, and keeps the vectors.

Legend: N items, L levels, C codes per level.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from semconv.tokens.quantizer import Quantizer


def quality_report(
    quantizer: Quantizer, vectors_ND: torch.Tensor, codes_NL: torch.Tensor, nearest_NL: torch.Tensor
) -> dict[str, Any]:
    """The report that is stored with the codes; ``nearest_NL`` are the codes before collisions were resolved.

    ``unique_tuples`` counts distinct code tuples; ``collision_rate`` is the share of items that share theirs;
    ``usage`` the share of a level's codes that some item has; ``perplexity`` the exponential of the entropy of a
    level's codes (C when all are equally common); ``error`` the squared reconstruction error over the variance of
    the vectors; ``error_by_level`` that of the first 1, 2, .. L levels of the nearest codes.
    """
    levels, codes = quantizer.codebooks.shape[:2]
    return {
        "items": len(codes_NL),
        "levels": levels,
        "codes": codes,
        "unique_tuples": unique_tuples(codes_NL),
        "collision_rate": collision_rate(codes_NL),
        "collision_rate_before": collision_rate(nearest_NL),
        "reassigned": int((codes_NL != nearest_NL).any(dim=1).sum()),
        "usage": [usage(codes_N, codes) for codes_N in codes_NL.T],
        "perplexity": [perplexity(codes_N) for codes_N in codes_NL.T],
        "error": _relative_error(vectors_ND, quantizer.decode(codes_NL)),
        "error_before": _relative_error(vectors_ND, quantizer.decode(nearest_NL)),
        "error_by_level": _error_by_level(quantizer, vectors_ND, nearest_NL),
    }


def unique_tuples(codes_NL: torch.Tensor) -> int:
    """Distinct rows."""
    return len(np.unique(codes_NL.numpy(), axis=0))


def collision_rate(codes_NL: torch.Tensor) -> float:
    """Share of the items whose tuple another item has too."""
    if not len(codes_NL):
        return 0.0
    _, counts = np.unique(codes_NL.numpy(), axis=0, return_counts=True)
    return float(counts[counts > 1].sum() / len(codes_NL))


def usage(codes_N: torch.Tensor, codes: int) -> float:
    """Share of a level's codes that at least one item has."""
    return int((torch.bincount(codes_N) > 0).sum()) / codes


def perplexity(codes_N: torch.Tensor) -> float:
    """Exponential of the entropy of the codes of one level."""
    shares = torch.bincount(codes_N).double() / max(len(codes_N), 1)
    return float(torch.exp(torch.special.entr(shares).sum()))


def _error_by_level(quantizer: Quantizer, vectors_ND: torch.Tensor, codes_NL: torch.Tensor) -> list[float]:
    rebuilt_ND = torch.zeros_like(vectors_ND)
    errors = []
    for codebook_CD, codes_N in zip(quantizer.codebooks, codes_NL.T, strict=True):
        rebuilt_ND = rebuilt_ND + codebook_CD[codes_N]
        errors.append(_relative_error(vectors_ND, rebuilt_ND))
    return errors


def _relative_error(vectors_ND: torch.Tensor, rebuilt_ND: torch.Tensor) -> float:
    """Squared error over squared distance from the mean; zero when all vectors are the same and are met."""
    error = float((vectors_ND - rebuilt_ND).double().square().sum())
    variance = float((vectors_ND - vectors_ND.mean(dim=0)).double().square().sum())
    return error / variance if variance > 0 else error

"""How good an index of item codes is: whether it tells items apart, uses its codes, and keeps the vectors.

Legend: N items, n of them with a vector, D width, L levels, C codes per level.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from semconv.artifacts.ragged import Int32
from semconv.tokens.prefixes import prefix_ids
from semconv.tokens.quantizer import Quantizer
from semconv.tokens.rounding import RESOLUTION


def quality_report(
    quantizer: Quantizer, vectors_ND: torch.Tensor, codes_NL: torch.Tensor, nearest_NL: torch.Tensor
) -> dict[str, Any]:
    """The report that is stored with the codes; ``nearest_NL`` are the codes before collisions were resolved.

    Besides `resolved_figures`: ``error`` the squared reconstruction error over the variance of the vectors, null where
    they do not differ; ``error_by_level`` that of the first 1, 2, .. L levels of the nearest codes. Of a level that
    tells collisions apart and stands for nothing (``codes_NL`` one wider than ``nearest_NL``) only `code_figures`
    speak.
    """
    coded_NL = codes_NL[:, : nearest_NL.shape[1]]
    return {
        **resolved_figures(codes_NL, nearest_NL, quantizer.codebooks.shape[1]),
        **reconstruction_errors(quantizer, vectors_ND, coded_NL, nearest_NL, vectors_ND.mean(dim=0)),
    }


def resolved_figures(codes_NL: torch.Tensor, nearest_NL: torch.Tensor, codes: int) -> dict[str, Any]:
    """`code_figures`, ``collision_rate_before`` of the nearest codes, and how many items were ``reassigned`` others."""
    return {
        **code_figures(codes_NL, codes),
        "collision_rate_before": collision_rate(nearest_NL),
        "reassigned": int((codes_NL[:, : nearest_NL.shape[1]] != nearest_NL).any(dim=1).sum()),
    }


def reconstruction_errors(
    quantizer: Quantizer,
    vectors_ND: torch.Tensor,
    codes_NL: torch.Tensor,
    nearest_NL: torch.Tensor,
    mean_D: torch.Tensor,
) -> dict[str, Any]:
    """The errors of `quality_report`, relative to the distance from ``mean_D``; null where that is nothing."""
    if not len(vectors_ND):
        return {"error": None, "error_before": None, "error_by_level": None}
    return {
        "error": _relative_error(vectors_ND, quantizer.decode(codes_NL), mean_D),
        "error_before": _relative_error(vectors_ND, quantizer.decode(nearest_NL), mean_D),
        "error_by_level": [
            _relative_error(vectors_ND, quantizer.decode(nearest_NL[:, :length]), mean_D)
            for length in range(1, nearest_NL.shape[1] + 1)
        ],
    }


def code_figures(codes_NL: torch.Tensor, codes: int) -> dict[str, Any]:
    """What codes say without anything else: shape, collisions, and how evenly each level uses its codes.

    ``unique_tuples`` counts distinct code tuples; ``collision_rate`` is the share of items that share theirs. By
    level: ``usage`` the share of the codes that some item has; ``perplexity`` the exponential of the entropy of the
    codes (C when all are equally common); ``balance`` that over C; ``largest`` the share of items with the most
    common code (1 / C when all are equally common).
    """
    return {
        "items": len(codes_NL),
        "levels": codes_NL.shape[1],
        "codes": codes,
        "unique_tuples": unique_tuples(codes_NL),
        "collision_rate": collision_rate(codes_NL),
        "usage": [usage(codes_N, codes) for codes_N in codes_NL.T],
        "perplexity": [perplexity(codes_N) for codes_N in codes_NL.T],
        "balance": [perplexity(codes_N) / codes for codes_N in codes_NL.T],
        "largest": [int(torch.bincount(codes_N).max()) / len(codes_N) for codes_N in codes_NL.T],
    }


def unique_tuples(codes_NL: torch.Tensor) -> int:
    """Distinct rows."""
    return int(prefix_ids(codes_NL.numpy(), codes_NL.shape[1]).max(initial=-1)) + 1


def collision_rate(codes_NL: torch.Tensor) -> float:
    """Share of the items whose tuple another item has too."""
    if not len(codes_NL):
        return 0.0
    counts = np.bincount(prefix_ids(codes_NL.numpy(), codes_NL.shape[1]))
    return float(counts[counts > 1].sum() / len(codes_NL))


def usage(codes_N: torch.Tensor, codes: int) -> float:
    """Share of a level's codes that at least one item has."""
    return int((torch.bincount(codes_N) > 0).sum()) / codes


def perplexity(codes_N: torch.Tensor) -> float:
    """Exponential of the entropy of the codes of one level."""
    shares = torch.bincount(codes_N).double() / max(len(codes_N), 1)
    return float(torch.exp(torch.special.entr(shares).sum()))


def prefix_errors(vectors_nD: torch.Tensor, codes_nL: Int32) -> list[float | None]:
    """Squared distance to the mean of all items with the same 1, 2, .. L first codes, over that to the mean of all.

    What a quantizer's reconstruction error is, for codes whose quantizer is not known. It falls to zero as prefixes
    come to have one item each, whatever the codes; so compare indexes by their first lengths. None where all vectors
    are the same.
    """
    found = []
    for length in range(1, codes_nL.shape[1] + 1):
        ids_n = torch.from_numpy(prefix_ids(codes_nL, length))
        sizes = torch.bincount(ids_n)
        sums = torch.zeros(len(sizes), vectors_nD.shape[1], dtype=torch.float64).index_add_(
            0, ids_n, vectors_nD.double()
        )
        found.append(_relative_error(vectors_nD, (sums / sizes[:, None])[ids_n].float(), vectors_nD.mean(dim=0)))
    return found


def _relative_error(vectors_ND: torch.Tensor, rebuilt_ND: torch.Tensor, mean_D: torch.Tensor) -> float | None:
    """Squared error over squared distance from the mean; None where that is nothing, or rounding."""
    error = float((vectors_ND - rebuilt_ND).double().square().sum())
    variance = float((vectors_ND - mean_D).double().square().sum())
    # What they are rebuilt as counts too: vectors that are all zero have no squares to measure rounding by.
    squares = float(vectors_ND.double().square().sum() + rebuilt_ND.double().square().sum())
    return error / variance if variance > RESOLUTION * squares else None

"""LETTER's diversity regularisation: code embeddings in even clusters, drawn together within, apart between.

Wang et al., arXiv 2405.07314: where code embeddings crowd together, few of them attract most items. The code
embeddings of a level are put into clusters of equal size; the code of an item is drawn towards a random other code of
its cluster and pushed from all the rest, so that the codes end up spread evenly over the space.

Legend: B batch, C codes, Z width, G clusters.
"""

from __future__ import annotations

import torch
from torch.nn import functional as F

from semconv.tokens.balance import even_prices
from semconv.tokens.kmeans import fit_kmeans, squared_distances


def even_clusters(codebook_CZ: torch.Tensor, clusters: int, generator: torch.Generator) -> torch.Tensor:
    """Cluster of every code, int64 (C,): k-means whose clusters have nearly equal size, found on the CPU."""
    codes_CZ = codebook_CZ.detach().cpu().float()
    centres_GZ = fit_kmeans(codes_CZ, min(clusters, len(codes_CZ)), iterations=10, generator=generator)
    costs_CG = squared_distances(codes_CZ, centres_GZ)
    return (costs_CG + even_prices(costs_CG)).argmin(dim=1)


def diversity_loss(
    codebook_CZ: torch.Tensor, codes_B: torch.Tensor, clusters_C: torch.Tensor, generator: torch.Generator
) -> torch.Tensor:
    """Mean cross entropy of a random fellow of each item's code, among all codes but its own, by inner product.

    ``codebook_CZ`` has gradients; embeddings are measured in units of their mean norm. Items whose code is alone in
    its cluster take no part.
    """
    order_C = clusters_C.argsort(stable=True)
    sizes_C = torch.bincount(clusters_C)[clusters_C]
    first_C = torch.searchsorted(clusters_C[order_C].contiguous(), clusters_C.contiguous())
    place_C = order_C.argsort() - first_C
    codes_B = codes_B[(sizes_C > 1)[codes_B.cpu()].to(codes_B.device)]
    if not len(codes_B):
        return codebook_CZ.sum() * 0.0
    own_B = codes_B.cpu()
    ahead_B = 1 + (torch.rand(len(own_B), generator=generator) * (sizes_C[own_B] - 1)).long()
    fellows_B = order_C[first_C[own_B] + (place_C[own_B] + ahead_B) % sizes_C[own_B]].to(codes_B.device)
    size = codebook_CZ.detach().norm(dim=1).mean().clamp(min=1e-12)
    logits_BC = (codebook_CZ[codes_B] / size) @ (codebook_CZ / size).T
    return F.cross_entropy(logits_BC.scatter(1, codes_B[:, None], float("-inf")), fellows_B)

"""k-means on dense vectors: deterministic, seeded by bisection, with dead centroids revived.

Seeds drawn from the points themselves, as k-means++ does, fail on whitened vectors: in many dimensions every point is
farther from any other than from the mean, so that one central cluster swallows nearly all. Bisection along principal
directions (Boley 1998) starts from clusters of many points each, and its centroids stay alive.

Legend: N points, D width, C centroids, S points of a sample.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count

import torch

SEEDING_SAMPLE = 262_144
"""Points that the bisection looks at, at most."""
POWER_ITERATIONS = 8
REVIVALS = 20
"""Rounds of `revive`, at most; a round moves every dead centroid, so that two or three do."""
BLOCK, BLOCK_BYTES = 8_192, 1 << 28
"""Points whose distances are held at a time, and their bytes, at most: few enough that their memory is used again."""
_MET = 1e-6
"""A point nearer to its centroid than this share of the largest squared norm is met exactly, but for rounding."""


def fit_kmeans(
    points_ND: torch.Tensor,
    centroids: int,
    *,
    iterations: int,
    generator: torch.Generator,
    step: Callable[[], None] = lambda: None,
) -> torch.Tensor:
    """Centroids, float32 (C, D): bisection, then Lloyd's iterations until nothing moves.

    A centroid without points moves to the point farthest from its own. With fewer distinct points than centroids
    the spare centroids repeat others and stay empty. ``step`` is called after every iteration.
    """
    centroids_CD = _seed(points_ND, centroids, generator)
    previous_N: torch.Tensor | None = None
    for _ in range(iterations):
        nearest_N, errors_N = assign(points_ND, centroids_CD)
        if previous_N is not None and torch.equal(nearest_N, previous_N):
            break
        previous_N = nearest_N
        sizes_C = torch.bincount(nearest_N, minlength=centroids)
        sums_CD = torch.zeros_like(centroids_CD).index_add_(0, nearest_N, points_ND)
        alive_C = sizes_C > 0
        centroids_CD = torch.where(alive_C[:, None], sums_CD / sizes_C.clamp(min=1)[:, None], centroids_CD)
        _revive(centroids_CD, alive_C, points_ND, errors_N)
        step()
    return centroids_CD


def assign(
    points_ND: torch.Tensor, centroids_CD: torch.Tensor, prices_C: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Nearest centroid of every point, int64 (N,), the first of equals, and the squared distance, float32 (N,).

    With ``prices_C`` the one of least squared distance plus price, and that sum.
    """
    nearest, errors = [], []
    for block_BD in torch.split(points_ND, max(min(BLOCK, BLOCK_BYTES // (4 * len(centroids_CD))), 1)):
        costs_BC = squared_distances(block_BD, centroids_CD)
        least = (costs_BC if prices_C is None else costs_BC + prices_C).min(dim=1)
        nearest.append(least.indices)
        errors.append(least.values)
    return torch.cat(nearest), torch.cat(errors)


def squared_distances(points_ND: torch.Tensor, centroids_CD: torch.Tensor) -> torch.Tensor:
    """Float32 (N, C)."""
    norms_N1 = points_ND.square().sum(dim=1, keepdim=True)
    distances_NC = norms_N1 + centroids_CD.square().sum(dim=1) - 2.0 * points_ND @ centroids_CD.T
    return distances_NC.clamp_(min=0.0)


def _seed(points_ND: torch.Tensor, centroids: int, generator: torch.Generator) -> torch.Tensor:
    """Means of clusters found by halving, again and again, the one with the largest squared error."""
    points_SD = points_ND[torch.randperm(len(points_ND), generator=generator)[:SEEDING_SAMPLE]]
    numbers = count()
    whole = torch.arange(len(points_SD))
    clusters = [(-_spread(points_SD), next(numbers), whole)]
    done: list[torch.Tensor] = []
    while clusters and len(clusters) + len(done) < centroids:
        _, _, members = heapq.heappop(clusters)
        side = _side(points_SD[members], generator)
        if bool(side.all()) or not bool(side.any()):
            done.append(members)
            continue
        for half in (members[side], members[~side]):
            heapq.heappush(clusters, (-_spread(points_SD[half]), next(numbers), half))
    found = done + [members for _, _, members in clusters]
    means = torch.stack([points_SD[members].mean(dim=0) for members in found])
    return means[torch.arange(centroids) % len(means)].clone()


def _spread(points_SD: torch.Tensor) -> float:
    """Squared distance of all points from their mean."""
    return float((points_SD - points_SD.mean(dim=0)).square().sum())


def _side(points_SD: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """On which side of the mean each point lies along the direction of largest variance, bool (S,)."""
    centred_SD = points_SD - points_SD.mean(dim=0)
    direction_D = torch.randn(points_SD.shape[1], generator=generator)
    for _ in range(POWER_ITERATIONS):
        direction_D = torch.nn.functional.normalize(centred_SD.T @ (centred_SD @ direction_D), dim=0)
    return centred_SD @ direction_D > 0


def revive(points_ND: torch.Tensor, centroids_CD: torch.Tensor) -> torch.Tensor:
    """Centroids (C, D) of which each is the nearest of some point, as far as there are distinct points for it.

    A centroid nobody is nearest to moves onto the point farthest from its own, until there is none, or no such point.
    """
    centroids_CD = centroids_CD.clone()
    for _ in range(REVIVALS):
        nearest_N, errors_N = assign(points_ND, centroids_CD)
        alive_C = torch.bincount(nearest_N, minlength=len(centroids_CD)) > 0
        if bool(alive_C.all()) or float(errors_N.max()) <= _MET * float(points_ND.square().sum(dim=1).max()):
            break
        _revive(centroids_CD, alive_C, points_ND, errors_N)
    return centroids_CD


def _revive(centroids_CD: torch.Tensor, alive_C: torch.Tensor, points_ND: torch.Tensor, errors_N: torch.Tensor) -> None:
    """Move dead centroids, in place, onto the worst represented points, one each; of equal errors onto the first."""
    dead = (~alive_C).nonzero().flatten()
    if not len(dead):
        return
    falling_N, order_N = torch.sort(errors_N, descending=True, stable=True)
    # Points of one error are most often one point many times over, which takes one centroid.
    new_N = torch.cat([torch.ones(1, dtype=torch.bool), falling_N[1:] != falling_N[:-1]])
    worst = order_N[new_N & (falling_N > 0)][: len(dead)]
    centroids_CD[dead[: len(worst)]] = points_ND[worst]

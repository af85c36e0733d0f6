"""LightGCN (He et al. 2020, arXiv 2002.02126): embeddings averaged over the layers of a linear graph convolution.

Legend: U users, N items, E edges, D width, B histories, L layers.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from semconv.artifacts import Ragged, Split
from semconv.artifacts.ragged import Int32
from semconv.behaviour.graph import InteractionGraph, edge_norms
from semconv.behaviour.graph_training import GraphNetwork, fit_graph
from semconv.behaviour.training import Epoch
from semconv.config import LightgcnSettings
from semconv.progress import Report, silent


class Lightgcn(nn.Module):
    """An `Encoder` that joins the user of a history to the finished graph.

    Messages are linear and a newcomer sends none, so all that reaches it over the layers is one sum over its items:
    of ``senders_ND``, an item's layers below the last over the square root of its degree. Its own embedding is zero,
    as are all scores of an empty history, which therefore ranks by popularity.
    """

    name = "lightgcn"

    def __init__(self, n_items: int, settings: LightgcnSettings) -> None:
        super().__init__()
        self.n_items = n_items
        self.item_vectors: torch.Tensor
        self.senders_ND: torch.Tensor
        self.register_buffer("item_vectors", torch.zeros(n_items, settings.width))
        self.register_buffer("senders_ND", torch.zeros(n_items, settings.width))

    @torch.no_grad()
    def scores(self, histories: Sequence[Int32]) -> torch.Tensor:
        """Inner products of the newcomer and every item, float32 (B, N); an item counts once however often it comes."""
        graph = InteractionGraph.of(histories, self.n_items).to(self.senders_ND.device)
        users_BD = graph.to_users(edge_norms(graph, torch.ones_like(graph.item_degrees)), self.senders_ND)
        return (users_BD @ self.item_vectors.T).cpu()


class LightgcnNetwork(GraphNetwork[Lightgcn]):
    """LightGCN while it is fitted."""

    def __init__(self, graph: InteractionGraph, settings: LightgcnSettings) -> None:
        super().__init__(graph, settings.width)
        self._settings = settings

    def layers(self) -> tuple[torch.Tensor, torch.Tensor]:
        """What users and items are after every layer, the embeddings first: (L + 1, U, D), (L + 1, N, D)."""
        norms_E = edge_norms(self.graph, self.graph.item_degrees)
        users: list[torch.Tensor] = [self.users]
        items: list[torch.Tensor] = [self.items]
        for _ in range(self._settings.layers):
            below_UD, below_ND = users[-1], items[-1]
            users.append(self.graph.to_users(norms_E, below_ND))
            items.append(self.graph.to_items(norms_E, below_UD))
        return torch.stack(users), torch.stack(items)

    def propagate(self) -> tuple[torch.Tensor, torch.Tensor, None]:
        """Means over the layers."""
        users_LUD, items_LND = self.layers()
        return users_LUD.mean(dim=0), items_LND.mean(dim=0), None

    def encoder(self) -> Lightgcn:
        """See `Lightgcn`."""
        _, items_LND = self.layers()
        degrees_N1 = self.graph.item_degrees.clamp(min=1)[:, None]
        fitted = Lightgcn(len(self.items), self._settings).to(self.items.device)
        fitted.item_vectors.copy_(items_LND.mean(dim=0))
        fitted.senders_ND.copy_(items_LND[:-1].sum(dim=0) / degrees_N1.sqrt() / len(items_LND))
        return fitted


def fit_lightgcn(
    training: Ragged,
    n_items: int,
    valid: Split,
    settings: LightgcnSettings,
    *,
    seed: int,
    report: Report = silent,
    device: str = "cpu",
) -> tuple[Lightgcn, list[Epoch]]:
    """Train on ``training`` alone; see `fit_graph`."""

    def make(graph: InteractionGraph) -> LightgcnNetwork:
        return LightgcnNetwork(graph, settings)

    return fit_graph(make, Lightgcn.name, training, n_items, valid, settings, seed=seed, report=report, device=device)

"""DCCF (Ren et al. 2023, arXiv 2305.02759): disentangled contrastive collaborative filtering.

At every layer a node takes in four things and keeps what it was: its neighbours (local view), the mixture of K latent
intents that it resembles (intent view), and its neighbours again, twice, weighted by how alike the ends of the edge are
in the local and in the intent view. The four are contrasted with one another.

Legend: U users, N items, E edges, D width, K intents, L layers, B histories or interactions of a step.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F

from semconv.artifacts import Ragged, Split
from semconv.artifacts.ragged import Int32
from semconv.behaviour.graph import InteractionGraph, edge_norms
from semconv.behaviour.graph_training import Added, GraphNetwork, fit_graph
from semconv.behaviour.training import Epoch
from semconv.config import DccfSettings
from semconv.progress import Report, silent

TINY = 1e-8


def intent_view(nodes_MD: torch.Tensor, prototypes_KD: torch.Tensor) -> torch.Tensor:
    """Every node's mixture of the prototypes, by softmax of its inner products with them, (M, D)."""
    return F.softmax(nodes_MD @ prototypes_KD.T, dim=1) @ prototypes_KD


def likeness(graph: InteractionGraph, users_UD: torch.Tensor, items_ND: torch.Tensor) -> torch.Tensor:
    """Cosine of the two ends of every edge, brought from [-1, 1] to [0, 1], (E)."""
    return (1 + graph.dots(F.normalize(users_UD, dim=1), F.normalize(items_ND, dim=1))) / 2


def weighted_items(graph: InteractionGraph, weights_E: torch.Tensor, items_ND: torch.Tensor) -> torch.Tensor:
    """Mean of every user's items under the edges' weights, (U, D); zero without items."""
    totals_U1 = graph.to_users(weights_E, items_ND.new_ones(len(items_ND), 1))
    return graph.to_users(weights_E, items_ND) / totals_U1.clamp(min=TINY)


def weighted_users(graph: InteractionGraph, weights_E: torch.Tensor, users_UD: torch.Tensor) -> torch.Tensor:
    """Mean of every item's users under the edges' weights, (N, D); zero without users."""
    totals_N1 = graph.to_items(weights_E, users_UD.new_ones(len(users_UD), 1))
    return graph.to_items(weights_E, users_UD) / totals_N1.clamp(min=TINY)


class Dccf(nn.Module):
    """An `Encoder` that joins the user of a history to the finished graph, layer by layer.

    ``layers_LND`` are the items below every layer, ``local_LND`` and ``intent_LND`` their views in it. A newcomer
    starts from zero and changes no item; an empty history is left with the mixture of intents that all users share.
    """

    name = "dccf"

    def __init__(self, n_items: int, settings: DccfSettings) -> None:
        super().__init__()
        self.n_items = n_items
        self.item_vectors: torch.Tensor
        self.degrees_N: torch.Tensor
        self.prototypes_KD: torch.Tensor
        self.layers_LND: torch.Tensor
        self.local_LND: torch.Tensor
        self.intent_LND: torch.Tensor
        self.register_buffer("item_vectors", torch.zeros(n_items, settings.width))
        self.register_buffer("degrees_N", torch.zeros(n_items))
        self.register_buffer("prototypes_KD", torch.zeros(settings.intents, settings.width))
        for name in ("layers_LND", "local_LND", "intent_LND"):
            self.register_buffer(name, torch.zeros(settings.layers, n_items, settings.width))

    @torch.no_grad()
    def scores(self, histories: Sequence[Int32]) -> torch.Tensor:
        """Inner products of the newcomer and every item, float32 (B, N); an item counts once however often it comes."""
        graph = InteractionGraph.of(histories, self.n_items).to(self.degrees_N.device)
        norms_E = edge_norms(graph, self.degrees_N)
        users_BD = self.item_vectors.new_zeros(len(histories), self.item_vectors.shape[1])
        total_BD = users_BD
        for below_ND, local_ND, intent_ND in zip(self.layers_LND, self.local_LND, self.intent_LND, strict=True):
            local_BD = graph.to_users(norms_E, below_ND)
            intent_BD = intent_view(users_BD, self.prototypes_KD)
            alike_local_E = likeness(graph, local_BD, local_ND)
            alike_intent_E = likeness(graph, intent_BD, intent_ND)
            users_BD = users_BD + local_BD + intent_BD
            users_BD = users_BD + weighted_items(graph, alike_local_E, below_ND)
            users_BD = users_BD + weighted_items(graph, alike_intent_E, below_ND)
            total_BD = total_BD + users_BD
        return (total_BD @ self.item_vectors.T).cpu()


class DccfNetwork(GraphNetwork[Dccf]):
    """DCCF while it is fitted."""

    def __init__(self, graph: InteractionGraph, settings: DccfSettings) -> None:
        super().__init__(graph, settings.width)
        self._settings = settings
        self.user_prototypes = nn.Parameter(torch.empty(settings.intents, settings.width))
        self.item_prototypes = nn.Parameter(torch.empty(settings.intents, settings.width))
        for table in (self.user_prototypes, self.item_prototypes):
            nn.init.xavier_uniform_(table)

    def layers(self) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """For every layer, the views of users (5, U, D) and of items (5, N, D).

        In order: what was below, local, intent, and the two weighted views.
        """
        graph = self.graph
        norms_E = edge_norms(graph, graph.item_degrees)
        users_UD: torch.Tensor = self.users
        items_ND: torch.Tensor = self.items
        users, items = [], []
        for _ in range(self._settings.layers):
            local_UD, local_ND = graph.to_users(norms_E, items_ND), graph.to_items(norms_E, users_UD)
            intent_UD = intent_view(users_UD, self.user_prototypes)
            intent_ND = intent_view(items_ND, self.item_prototypes)
            alike_local_E = likeness(graph, local_UD, local_ND)
            alike_intent_E = likeness(graph, intent_UD, intent_ND)
            near_users = (weighted_items(graph, alike_E, items_ND) for alike_E in (alike_local_E, alike_intent_E))
            near_items = (weighted_users(graph, alike_E, users_UD) for alike_E in (alike_local_E, alike_intent_E))
            users.append(torch.stack([users_UD, local_UD, intent_UD, *near_users]))
            items.append(torch.stack([items_ND, local_ND, intent_ND, *near_items]))
            users_UD, items_ND = users[-1].sum(dim=0), items[-1].sum(dim=0)
        return users, items

    def propagate(self) -> tuple[torch.Tensor, torch.Tensor, Added]:
        """Sums over the layers; added to the loss are the contrast and the prototypes' norm."""
        users, items = self.layers()

        def added(users_B: torch.Tensor, items_B: torch.Tensor) -> torch.Tensor:
            settings = self._settings
            squares = self.user_prototypes.square().sum() + self.item_prototypes.square().sum()
            loss = settings.intent_l2 * squares
            for views, nodes_B in ((users, users_B), (items, items_B)):
                chosen = _first_distinct(nodes_B, settings.contrast_nodes)
                for layer in views:
                    loss = loss + settings.contrast_weight * contrast(layer[1:, chosen], settings.contrast_temperature)
            return loss

        return _total(users), _total(items), added

    def encoder(self) -> Dccf:
        """See `Dccf`."""
        _, items = self.layers()
        fitted = Dccf(len(self.items), self._settings).to(self.items.device)
        fitted.item_vectors.copy_(_total(items))
        fitted.degrees_N.copy_(self.graph.item_degrees)
        fitted.prototypes_KD.copy_(self.user_prototypes)
        fitted.layers_LND.copy_(torch.stack([views[0] for views in items]))
        fitted.local_LND.copy_(torch.stack([views[1] for views in items]))
        fitted.intent_LND.copy_(torch.stack([views[2] for views in items]))
        return fitted


def contrast(views_VBD: torch.Tensor, temperature: float) -> torch.Tensor:
    """InfoNCE of the first view with each other one: the same node against all nodes, by cosine; mean over nodes."""
    views_VBD = F.normalize(views_VBD, dim=2)
    loss = views_VBD.new_zeros(())
    own_B = torch.arange(views_VBD.shape[1], device=views_VBD.device)
    for other_BD in views_VBD[1:]:
        loss = loss + F.cross_entropy(views_VBD[0] @ other_BD.T / temperature, own_B)
    return loss


def _total(layers: Sequence[torch.Tensor]) -> torch.Tensor:
    """Sum over the embeddings and what every layer made of them; each of ``layers`` is (5, M, D)."""
    total_MD = layers[0][0]
    for views in layers:
        total_MD = total_MD + views.sum(dim=0)
    return total_MD


def _first_distinct(nodes_B: torch.Tensor, size: int) -> torch.Tensor:
    """At most ``size`` different nodes of a step, whose order is random already."""
    chosen: torch.Tensor = torch.unique(nodes_B[:size])
    return chosen


def fit_dccf(
    training: Ragged,
    n_items: int,
    valid: Split,
    settings: DccfSettings,
    *,
    seed: int,
    report: Report = silent,
    device: str = "cpu",
) -> tuple[Dccf, list[Epoch]]:
    """Train on ``training`` alone; see `fit_graph`."""

    def make(graph: InteractionGraph) -> DccfNetwork:
        return DccfNetwork(graph, settings)

    return fit_graph(make, Dccf.name, training, n_items, valid, settings, seed=seed, report=report, device=device)

"""Fitting an encoder on the graph of users and items: interactions against items drawn at random.

Legend: U users, N items, D width, B interactions of a step, S drawn items.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from semconv.artifacts import Ragged, Split
from semconv.behaviour.graph import InteractionGraph
from semconv.behaviour.protocol import Encoder
from semconv.behaviour.training import Epoch, train
from semconv.config import GraphSettings
from semconv.progress import Report

E = TypeVar("E", bound=Encoder)

Added = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""A loss that a network adds for the users (B) and the items (B) of a step."""


class GraphNetwork(nn.Module, ABC, Generic[E]):
    """Embeddings of users and items, and how they become representations along the graph."""

    def __init__(self, graph: InteractionGraph, width: int) -> None:
        super().__init__()
        self.graph = graph
        self.users = nn.Parameter(torch.empty(len(graph.user_degrees), width))
        self.items = nn.Parameter(torch.empty(len(graph.item_degrees), width))
        for table in (self.users, self.items):
            if len(table):
                nn.init.xavier_uniform_(table)

    @abstractmethod
    def propagate(self) -> tuple[torch.Tensor, torch.Tensor, Added | None]:
        """Representations (U, D) and (N, D), and what the network adds to the loss."""

    @abstractmethod
    def encoder(self) -> E:
        """What scores histories, as the weights are now; shares nothing with them."""


def fit_graph(
    make: Callable[[InteractionGraph], GraphNetwork[E]],
    name: str,
    training: Ragged,
    n_items: int,
    valid: Split,
    settings: GraphSettings,
    *,
    seed: int,
    report: Report,
    device: str,
) -> tuple[E, list[Epoch]]:
    """Train on ``training`` alone; the network that ``make`` makes ranks by inner products.

    The nodes are the users with training interactions and all items. ``valid``, and what comes back, as `train` has it.
    """
    rows = [row for row in training if len(row)]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = make(InteractionGraph.of(rows, n_items)).to(device)
        network.graph = network.graph.to(device)
        return train(_GraphTrainee(name, network, settings), valid, settings, seed=seed, report=report)


class _GraphTrainee(Generic[E]):
    """A `Trainee`: every edge of the graph once an epoch."""

    def __init__(self, name: str, network: GraphNetwork[E], settings: GraphSettings) -> None:
        self.name = name
        self.weights = network
        self.optimizer = torch.optim.Adam(network.parameters(), lr=settings.learning_rate)
        self._users_E, self._items_E = network.graph.edges
        self.steps = math.ceil(len(self._items_E) / settings.batch_size)
        self._settings = settings

    def losses(self, random: np.random.Generator) -> Iterator[torch.Tensor]:
        """The loss of every step; the whole graph takes part in each."""
        size, device = self._settings.batch_size, self._items_E.device
        order_E = torch.from_numpy(random.permutation(len(self._items_E))).to(device)
        for start in range(0, len(order_E), size):
            edges_B = order_E[start : start + size]
            wanted = self._settings.negatives if self._settings.loss == "softmax" else len(edges_B)
            drawn_S = torch.from_numpy(random.integers(0, len(self.weights.items), wanted)).to(device)
            yield self._loss(self._users_E[edges_B], self._items_E[edges_B], drawn_S)

    def _loss(self, users_B: torch.Tensor, items_B: torch.Tensor, drawn_S: torch.Tensor) -> torch.Tensor:
        users_UD, items_ND, added = self.weights.propagate()
        rows = users_UD[users_B], items_ND[items_B], items_ND[drawn_S]
        softmax = self._settings.loss == "softmax"
        ranking = sampled_softmax_loss(*rows, self._settings.temperature) if softmax else bpr_loss(*rows)
        own = self.weights.users[users_B], self.weights.items[items_B], self.weights.items[drawn_S]
        squares = sum((table.square().sum(dim=1).mean() for table in own), ranking.new_zeros(()))
        loss: torch.Tensor = ranking + self._settings.l2 * squares / 2
        return loss if added is None else loss + added(users_B, items_B)

    def encoder(self) -> E:
        """The encoder of the weights as they are."""
        with torch.no_grad():
            return self.weights.encoder()


def sampled_softmax_loss(
    users_BD: torch.Tensor, items_BD: torch.Tensor, drawn_SD: torch.Tensor, temperature: float
) -> torch.Tensor:
    """Mean cross-entropy of each user's item among itself and the drawn items, over cosines / ``temperature``.

    Wu et al. 2022 (arXiv 2201.02327).
    """
    users_BD, items_BD, drawn_SD = (F.normalize(rows, dim=1) for rows in (users_BD, items_BD, drawn_SD))
    own_B = (users_BD * items_BD).sum(dim=1) / temperature
    drawn_BS = users_BD @ drawn_SD.T / temperature
    return (torch.logaddexp(own_B, drawn_BS.logsumexp(dim=1)) - own_B).mean()


def bpr_loss(users_BD: torch.Tensor, items_BD: torch.Tensor, drawn_BD: torch.Tensor) -> torch.Tensor:
    """Mean of -log sigmoid of how far each user's item scores above an item drawn for it (Rendle et al. 2009)."""
    return -F.logsigmoid((users_BD * (items_BD - drawn_BD)).sum(dim=1)).mean()

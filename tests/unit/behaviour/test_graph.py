"""Messages along the graph of users and items are what dense matrices say, forwards and backwards."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from semconv.behaviour.graph import InteractionGraph, edge_norms

HISTORIES = [np.array(row, np.int32) for row in ([3, 0, 3], [], [1, 3, 0], [4], [1])]
ITEMS = 6


@pytest.fixture
def graph() -> InteractionGraph:
    return InteractionGraph.of(HISTORIES, ITEMS)


def dense(graph: InteractionGraph, weights_E: torch.Tensor) -> torch.Tensor:
    users_E, items_E = graph.edges
    return torch.zeros(len(HISTORIES), ITEMS, dtype=weights_E.dtype).index_put((users_E, items_E), weights_E)


def drawn(*shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.randn(shape, generator=generator, dtype=torch.float64, requires_grad=True)


def test_every_pair_is_one_edge(graph: InteractionGraph) -> None:
    pairs = [(user, item) for user, row in enumerate(HISTORIES) for item in sorted(set(row.tolist()))]
    assert list(zip(*(ends.tolist() for ends in graph.edges), strict=True)) == pairs
    assert graph.user_degrees.tolist() == [2, 0, 3, 1, 1]
    assert graph.item_degrees.tolist() == [2, 2, 0, 2, 1, 0]


def test_messages_are_matrix_products(graph: InteractionGraph) -> None:
    weights, users, items = drawn(7), drawn(5, 3), drawn(6, 3)
    matrix = dense(graph, weights)
    torch.testing.assert_close(graph.to_users(weights, items), matrix @ items)
    torch.testing.assert_close(graph.to_items(weights, users), matrix.T @ users)
    torch.testing.assert_close(graph.dots(users, items), (users @ items.T)[graph.edges])


def test_gradients_are_right(graph: InteractionGraph) -> None:
    assert torch.autograd.gradcheck(graph.to_users, (drawn(7), drawn(6, 3)))
    assert torch.autograd.gradcheck(graph.to_items, (drawn(7), drawn(5, 3)))
    assert torch.autograd.gradcheck(graph.dots, (drawn(5, 3), drawn(6, 3)))


def test_norms_are_those_of_the_degrees(graph: InteractionGraph) -> None:
    users_E, items_E = graph.edges
    expected = 1 / (graph.user_degrees[users_E] * graph.item_degrees[items_E]).sqrt()
    torch.testing.assert_close(edge_norms(graph, graph.item_degrees), expected)
    assert edge_norms(graph, torch.zeros(ITEMS)).isfinite().all()


def test_a_graph_without_edges_carries_nothing() -> None:
    graph = InteractionGraph.of(HISTORIES[1:2], 2)
    assert graph.to_users(torch.zeros(0), torch.ones(2, 3)).tolist() == [[0.0, 0.0, 0.0]]
    assert graph.to_items(torch.zeros(0), torch.ones(1, 3)).tolist() == [[0.0, 0.0, 0.0]] * 2
    assert graph.dots(torch.ones(1, 3), torch.ones(2, 3)).shape == (0,)

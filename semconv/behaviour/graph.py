"""The graph of users and items: who interacted with what in training, and messages along its edges.

Legend: U users, N items, E edges, D width.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch

from semconv.artifacts.ragged import Int32, Ragged


@dataclass(frozen=True)
class InteractionGraph:
    """Distinct (user, item) pairs, ordered by user, then by item.

    ``user_starts`` int32 (U + 1) and ``items_E`` int32 are the pairs as compressed rows of users; ``item_starts`` int32
    (N + 1) and ``users_E`` int32 the same pairs as compressed rows of items; ``by_item_E`` int64 says which edge of the
    first order stands at each place of the second.
    """

    user_starts: torch.Tensor
    items_E: torch.Tensor
    item_starts: torch.Tensor
    users_E: torch.Tensor
    by_item_E: torch.Tensor

    @classmethod
    def of(cls, histories: Sequence[Int32], n_items: int) -> InteractionGraph:
        """One user a history, empty or not, in the order given."""
        rows = Ragged.of(histories)
        users = np.repeat(np.arange(len(rows), dtype=np.int64), rows.lengths)
        users_E, items_E = np.divmod(np.unique(users * n_items + rows.values), n_items)
        by_item_E = np.argsort(items_E, kind="stable")

        def starts(nodes_E: np.ndarray[Any, Any], size: int) -> torch.Tensor:
            ends = np.cumsum(np.bincount(nodes_E, minlength=size))
            return torch.from_numpy(np.concatenate([[0], ends]).astype(np.int32))

        return cls(
            starts(users_E, len(rows)),
            torch.from_numpy(items_E.astype(np.int32)),
            starts(items_E, n_items),
            torch.from_numpy(users_E[by_item_E].astype(np.int32)),
            torch.from_numpy(by_item_E),
        )

    def to(self, device: torch.device | str) -> InteractionGraph:
        """The same on ``device``."""
        return InteractionGraph(*(getattr(self, part.name).to(device) for part in fields(self)))

    @property
    def user_degrees(self) -> torch.Tensor:
        """Items of every user, float32 (U)."""
        return self.user_starts.diff().float()

    @property
    def item_degrees(self) -> torch.Tensor:
        """Users of every item, float32 (N)."""
        return self.item_starts.diff().float()

    @property
    def edges(self) -> tuple[torch.Tensor, torch.Tensor]:
        """User and item of every edge, int64 (E) each."""
        users = torch.arange(len(self.user_starts) - 1, device=self.items_E.device)
        return users.repeat_interleave(self.user_starts.diff().long()), self.items_E.long()

    def to_users(self, weights_E: torch.Tensor, items_ND: torch.Tensor) -> torch.Tensor:
        """Sum over every user's items of the edge's weight times the item's row, (U, D); differentiable in both."""
        result: torch.Tensor = _ToUsers.apply(self, weights_E, items_ND)  # type: ignore[no-untyped-call]  # torch's own
        return result

    def to_items(self, weights_E: torch.Tensor, users_UD: torch.Tensor) -> torch.Tensor:
        """Sum over every item's users of the edge's weight times the user's row, (N, D); differentiable in both."""
        result: torch.Tensor = _ToItems.apply(self, weights_E, users_UD)  # type: ignore[no-untyped-call]  # likewise
        return result

    def dots(self, users_UD: torch.Tensor, items_ND: torch.Tensor) -> torch.Tensor:
        """Inner product of the two ends of every edge, (E); differentiable in both."""
        result: torch.Tensor = _Dots.apply(self, users_UD, items_ND)  # type: ignore[no-untyped-call]  # likewise
        return result

    def sum_to_users(self, weights_E: torch.Tensor, items_ND: torch.Tensor) -> torch.Tensor:
        """`to_users` without a gradient."""
        shape = (len(self.user_starts) - 1, len(items_ND))
        return _rows(self.user_starts, self.items_E, weights_E, shape) @ items_ND

    def sum_to_items(self, weights_E: torch.Tensor, users_UD: torch.Tensor) -> torch.Tensor:
        """`to_items` without a gradient."""
        shape = (len(self.item_starts) - 1, len(users_UD))
        return _rows(self.item_starts, self.users_E, weights_E[self.by_item_E], shape) @ users_UD

    def sample_dots(self, users_UD: torch.Tensor, items_ND: torch.Tensor) -> torch.Tensor:
        """`dots` without a gradient."""
        zeros_E = users_UD.new_zeros(len(self.items_E))
        pattern = _rows(self.user_starts, self.items_E, zeros_E, (len(users_UD), len(items_ND)))
        result: torch.Tensor = torch.sparse.sampled_addmm(pattern, users_UD, items_ND.T).values()
        return result


class _ToUsers(torch.autograd.Function):
    """Each of the three operations is made of the other two backwards."""

    @staticmethod
    def forward(ctx: Any, graph: InteractionGraph, weights_E: torch.Tensor, items_ND: torch.Tensor) -> torch.Tensor:
        ctx.graph = graph
        ctx.save_for_backward(weights_E, items_ND)
        return graph.sum_to_users(weights_E, items_ND)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        weights_E, items_ND = ctx.saved_tensors
        grad_UD = grads[0].contiguous()
        grad_E = ctx.graph.sample_dots(grad_UD, items_ND) if ctx.needs_input_grad[1] else None
        return None, grad_E, ctx.graph.sum_to_items(weights_E, grad_UD) if ctx.needs_input_grad[2] else None


class _ToItems(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, graph: InteractionGraph, weights_E: torch.Tensor, users_UD: torch.Tensor) -> torch.Tensor:
        ctx.graph = graph
        ctx.save_for_backward(weights_E, users_UD)
        return graph.sum_to_items(weights_E, users_UD)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        weights_E, users_UD = ctx.saved_tensors
        grad_ND = grads[0].contiguous()
        grad_E = ctx.graph.sample_dots(users_UD, grad_ND) if ctx.needs_input_grad[1] else None
        return None, grad_E, ctx.graph.sum_to_users(weights_E, grad_ND) if ctx.needs_input_grad[2] else None


class _Dots(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, graph: InteractionGraph, users_UD: torch.Tensor, items_ND: torch.Tensor) -> torch.Tensor:
        ctx.graph = graph
        ctx.save_for_backward(users_UD, items_ND)
        return graph.sample_dots(users_UD, items_ND)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        users_UD, items_ND = ctx.saved_tensors
        grad_E = grads[0].contiguous()
        return None, ctx.graph.sum_to_users(grad_E, items_ND), ctx.graph.sum_to_items(grad_E, users_UD)


def _rows(starts: torch.Tensor, columns: torch.Tensor, values: torch.Tensor, shape: tuple[int, int]) -> torch.Tensor:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
        return torch.sparse_csr_tensor(starts, columns, values, shape, check_invariants=False)


def edge_norms(graph: InteractionGraph, item_degrees_N: torch.Tensor) -> torch.Tensor:
    """One over the square root of the product of the degrees at the two ends of every edge, float32 (E).

    The items' degrees are given: a graph of newcomers alone does not know them.
    """
    users_E, items_E = graph.edges
    return (graph.user_degrees[users_E] * item_degrees_N.clamp(min=1)[items_E]).rsqrt()

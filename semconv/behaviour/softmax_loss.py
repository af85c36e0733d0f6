"""Cross-entropy over the whole catalogue without ever holding all logits.

A block of rows is multiplied, turned into probabilities in place and multiplied back into gradients while it is still
in the cache; nothing but the gradients is kept. The idea is that of Wijmans et al. 2024 ("Cut Your Losses").
"""

from __future__ import annotations

from typing import Any

import torch

BLOCK = 128


class _FullSoftmax(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden_PD: torch.Tensor, items_ND: torch.Tensor, targets_P: torch.Tensor, dtype: torch.dtype
    ) -> torch.Tensor:
        """Loss and, at once, the gradients."""
        n_rows = len(hidden_PD)
        cast_ND = items_ND.to(dtype)
        grad_hidden_PD = torch.empty_like(hidden_PD, dtype=torch.float32)
        grad_items_ND = torch.zeros_like(items_ND, dtype=torch.float32)
        loss = torch.zeros((), device=hidden_PD.device)
        for start in range(0, n_rows, BLOCK):
            rows_BD = hidden_PD[start : start + BLOCK].to(dtype)
            targets_B1 = targets_P[start : start + BLOCK, None]
            log_BN = torch.log_softmax(rows_BD @ cast_ND.T, dim=1, dtype=torch.float32)
            loss -= log_BN.gather(1, targets_B1).sum()
            minus_one_B1 = torch.full_like(targets_B1, -1.0, dtype=torch.float32)
            grad_BN = log_BN.exp_().scatter_add_(1, targets_B1, minus_one_B1).to(dtype)
            grad_hidden_PD[start : start + BLOCK] = grad_BN @ cast_ND
            grad_items_ND += grad_BN.T @ rows_BD
        ctx.save_for_backward(grad_hidden_PD.div_(n_rows), grad_items_ND.div_(n_rows))
        return loss / n_rows

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        """Scale the gradients that the forward pass computed."""
        (grad,) = grads
        grad_hidden_PD, grad_items_ND = ctx.saved_tensors
        return grad_hidden_PD * grad, grad_items_ND * grad, None, None


def full_softmax_loss(
    hidden_PD: torch.Tensor, items_ND: torch.Tensor, targets_P: torch.Tensor, dtype: torch.dtype = torch.float32
) -> torch.Tensor:
    """Mean cross-entropy of ``targets_P`` (int64) under the logits ``hidden_PD @ items_ND.T``, over all N items.

    ``dtype`` is that of the matrix products; probabilities and sums are float32. The gradient is exact for
    float32 and rounded to 8 bits of mantissa for bfloat16. P must be at least 1.
    """
    loss: torch.Tensor = _FullSoftmax.apply(hidden_PD, items_ND, targets_P, dtype)  # type: ignore[no-untyped-call]  # torch's own
    return loss

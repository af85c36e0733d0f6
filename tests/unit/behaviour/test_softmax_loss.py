"""The blockwise loss is the ordinary one."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from semconv.behaviour import softmax_loss
from semconv.behaviour.softmax_loss import full_softmax_loss


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 1e-2)])
@pytest.mark.parametrize("rows", [1, 7, 8, 20])
def test_loss_and_gradients_match_autograd(
    rows: int, dtype: torch.dtype, tolerance: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(softmax_loss, "BLOCK", 8)
    torch.manual_seed(0)
    hidden, items = torch.randn(rows, 6, requires_grad=True), torch.randn(11, 6, requires_grad=True)
    targets = torch.randint(0, 11, (rows,))
    expected = F.cross_entropy(hidden @ items.T, targets)
    wanted = torch.autograd.grad(3 * expected, (hidden, items))
    loss = full_softmax_loss(hidden, items, targets, dtype)
    found = torch.autograd.grad(3 * loss, (hidden, items))
    torch.testing.assert_close(loss, expected, rtol=tolerance, atol=tolerance)
    for one, other in zip(found, wanted, strict=True):
        assert (one - other).norm() <= tolerance * other.norm()


def test_huge_logits_stay_finite() -> None:
    hidden = torch.tensor([[1000.0, 0.0]], requires_grad=True)
    loss = full_softmax_loss(hidden, torch.tensor([[1.0, 0.0], [-1.0, 0.0]]), torch.tensor([1]))
    loss.backward()
    assert loss.item() == pytest.approx(2000.0)
    assert torch.isfinite(hidden.grad).all()

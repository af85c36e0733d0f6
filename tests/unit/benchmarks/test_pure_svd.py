"""Items near by who bought them, and catalogues of which nobody can tell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.pure_svd import pure_svd
from tests.unit.tokens.small_catalogue import write_corpus


def user(number: int, items: list[int], trained: int) -> dict[str, Any]:
    ends = {"train_end": trained, "valid_end": min(trained + 1, len(items))}
    return {"user_id": f"u{number}", "items": items, "times": None, **ends}


def items(many: int) -> list[dict[str, Any]]:
    return [{"item_id": f"i{number}", "title": "thing", "categories": ["Shop"]} for number in range(many)]


def test_items_bought_by_the_same_users_lie_near(tmp_path: Path) -> None:
    """Two circles of users, who buy three of their four items each; item 8 is bought by nobody in training."""
    rows = [user(n, [*(4 * (n % 2) + (n // 2 + step) % 4 for step in (0, 1, 2)), 8], 3) for n in range(12)]
    space = pure_svd(write_corpus(tmp_path / "corpus", items(9), rows), seed=3)
    assert space.has.tolist() == [True] * 8 + [False]
    assert torch.isfinite(space.vectors).all()
    unit = torch.nn.functional.normalize(space.vectors[:8], dim=1)
    cosine = unit @ unit.T
    assert min(cosine[:4, :4].min(), cosine[4:, 4:].min()) > 0.4
    assert cosine[:4, 4:].abs().max() < 1e-3
    assert space.vectors[8].norm() < 1e-5


@pytest.mark.parametrize(
    ("many", "rows"),
    [
        (1, [user(0, [0, 0, 0], 1), user(1, [0, 0, 0], 1)]),
        (5, [user(0, [0, 1, 2, 3], 2)]),
        (5, [user(0, [0, 1], 0), user(1, [2, 3], 0), user(2, [1, 3], 0)]),
    ],
    ids=["one item", "one user", "nothing to learn from"],
)
def test_where_there_are_no_directions_no_item_has_a_vector(
    tmp_path: Path, many: int, rows: list[dict[str, Any]]
) -> None:
    space = pure_svd(write_corpus(tmp_path / "corpus", items(many), rows), seed=3)
    assert torch.equal(space.vectors, torch.zeros(many, 1))
    assert not space.has.any()
    assert len(space.has) == many

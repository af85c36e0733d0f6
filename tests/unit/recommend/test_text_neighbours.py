"""Text neighbours: what the description says, in plain loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from semconv.recommend.text_neighbours import RECENCY, RECENT, WITHOUT_TEXT, TextNeighbours

N, D = 15, 4
HAS_TEXT = [item not in (3, 8) for item in range(N)]


@pytest.fixture(scope="module")
def text() -> torch.Tensor:
    return torch.randn(N, D, generator=torch.Generator().manual_seed(2)) * torch.tensor(HAS_TEXT)[:, None]


def by_hand(text: torch.Tensor, history: list[int]) -> list[float]:
    scores = []
    for item in range(N):
        weighed, total = 0.0, 0.0
        for back, bought in enumerate(reversed(history[-RECENT:])):
            if HAS_TEXT[bought]:
                alike = torch.cosine_similarity(text[item], text[bought], dim=0).item()
                weighed, total = weighed + RECENCY**back * alike, total + RECENCY**back
        scores.append(0.0 if not total else weighed / total if HAS_TEXT[item] else WITHOUT_TEXT)
    return scores


def test_text_neighbours_are_what_they_say(text: torch.Tensor) -> None:
    random = np.random.default_rng(5)
    histories = [random.integers(0, N, size).astype(np.int32) for size in (1, 2, RECENT, RECENT + 4)]
    histories += [np.array(row, np.int32) for row in ([], [3], [8, 3], [1, 8], [3, 4], [6, 6])]
    scores = TextNeighbours(text, torch.tensor(HAS_TEXT)).scores(histories)
    assert scores.dtype == torch.float32
    expected = [by_hand(text, history.tolist()) for history in histories]
    np.testing.assert_allclose(scores.numpy(), expected, atol=1e-6)
    assert TextNeighbours(text, torch.tensor(HAS_TEXT)).scores([]).shape == (0, N)


def test_the_length_of_a_vector_does_not_matter(text: torch.Tensor) -> None:
    history = [np.array([1, 5], np.int32)]
    longer = text * torch.arange(1, N + 1)[:, None]
    one, two = (TextNeighbours(vectors, torch.tensor(HAS_TEXT)).scores(history) for vectors in (text, longer))
    torch.testing.assert_close(one, two)

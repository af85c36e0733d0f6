"""Neighbours of items: votes first, text behind them, never a blocked item or the item itself."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from semconv.artifacts.ragged import Int32
from semconv.behaviour.ordering import NO_ITEM
from semconv.recommend import similar
from semconv.recommend.similar import fill_by_text, voted

N = 12


def shop(seed: int) -> tuple[sp.csr_array, torch.Tensor, torch.Tensor, torch.Tensor, Int32]:
    """Few distinct votes and counts, so that equal ones are common; some items without votes, some without text."""
    rng = np.random.default_rng(seed)
    votes_NN = rng.integers(0, 4, (N, N)) * (rng.random((N, N)) < 0.2) / 4
    text_ND = torch.from_numpy(rng.normal(size=(N, 3))).float()
    has_text_N, counts_N = torch.from_numpy(rng.random(N) < 0.8), torch.from_numpy(rng.integers(0, 3, N))
    blocked = np.flatnonzero(rng.random(N) < 0.2).astype(np.int32)
    return sp.csr_array(votes_NN.astype(np.float32)), counts_N, text_ND, has_text_N, blocked


@settings(deadline=None)
@given(seed=st.integers(0, 10_000), width=st.integers(1, N + 3), entries=st.sampled_from([1, 30, 10_000]))
def test_neighbours_are_what_their_definition_says(seed: int, width: int, entries: int) -> None:
    votes_NN, counts_N, text_ND, has_text_N, blocked = shop(seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(similar, "ENTRIES", entries)
        items_NS, scores_NS = voted(votes_NN, counts_N, blocked, width)
        by_votes = items_NS.copy()
        fill_by_text(items_NS, scores_NS, text_ND, has_text_N, counts_N, blocked)
    votes, text = votes_NN.toarray(), torch.nn.functional.normalize(text_ND, dim=1).numpy()
    together = np.maximum(votes, votes.T)
    for item in range(N):
        others = [other for other in range(N) if other != item and other not in blocked]
        voters = sorted(
            (o for o in others if together[item, o] > 0), key=lambda o: (-together[item, o], -counts_N[o].item(), o)
        )
        assert by_votes[item][by_votes[item] != NO_ITEM].tolist() == voters[:width]
        found = items_NS[item][items_NS[item] != NO_ITEM].tolist()
        assert found[: len(voters)] == voters[:width]
        worded = [o for o in others if o not in voters and has_text_N[item] and has_text_N[o]]
        like = {other for other in worded if text[item] @ text[other] > 0}
        assert set(found[len(voters) :]) <= like
        assert len(found) == min(width, len(voters) + len(like))
        cosines = [float(text[item] @ text[other]) for other in found[len(voters) :]]
        assert cosines == sorted(cosines, reverse=True)
        scores = scores_NS[item][: len(found)]
        assert (scores > 0).all()
        assert (np.diff(scores) <= 0).all()
        assert (scores_NS[item][len(found) :] == -np.inf).all()


def test_text_stays_behind_where_enough_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(similar, "ENOUGH", 2)
    votes = np.zeros((5, 5), np.float32)
    votes[0, 1:3] = 1
    items_NS, scores_NS = voted(sp.csr_array(votes), torch.ones(5), np.zeros(0, np.int32), 4)
    everything = torch.ones(5, dtype=torch.bool)
    fill_by_text(items_NS, scores_NS, torch.ones(5, 2), everything, torch.ones(5), np.zeros(0, np.int32))
    assert items_NS[0].tolist() == [1, 2, NO_ITEM, NO_ITEM]
    assert items_NS[1].tolist() == [0, 2, 3, 4]
    np.testing.assert_allclose(scores_NS[1], 1)


def test_a_shop_that_nobody_has_visited_goes_by_text_alone() -> None:
    nothing = sp.csr_array((3, 3), dtype=np.float32)
    items_NS, scores_NS = voted(nothing, torch.zeros(3), np.zeros(0, np.int32), 2)
    text_ND = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 0.0]])
    fill_by_text(items_NS, scores_NS, text_ND, torch.tensor([True, True, False]), torch.zeros(3), np.zeros(0, np.int32))
    assert items_NS.tolist() == [[1, NO_ITEM], [0, NO_ITEM], [NO_ITEM, NO_ITEM]]
    np.testing.assert_allclose(scores_NS[:2, 0], 0.5**0.5, rtol=1e-6)

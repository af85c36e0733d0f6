"""SASRec: causal, indifferent to packing, deterministic, blind to what is held out, and able to learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from semconv.artifacts import Ragged, Split
from semconv.behaviour.ordering import top_k
from semconv.behaviour.popularity import Popularity, training_counts
from semconv.behaviour.sasrec import Sasrec
from semconv.behaviour.sasrec_training import fit_sasrec
from semconv.behaviour.training import kept, validate
from semconv.config import SasrecSettings
from tests.unit.behaviour.conftest import CorpusMaker

SMALL = SasrecSettings(width=16, layers=2, heads=2, max_history=6, epochs=2, batch_size=16, precision="float32")


def histories(*rows: list[int]) -> list[np.ndarray]:
    return [np.array(row, np.int32) for row in rows]


@pytest.fixture
def model() -> Sasrec:
    torch.manual_seed(0)
    fresh = Sasrec(9, SMALL).eval()
    for parameter in fresh.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return fresh


def test_a_history_scores_the_same_in_any_company(model: Sasrec) -> None:
    rows = histories([1, 2, 3], [], [4], [5, 6, 7, 8, 0, 1], [2, 2])
    together = model.scores(rows)
    alone = torch.cat([model.scores([row]) for row in rows])
    torch.testing.assert_close(together, alone)
    assert together.std(dim=0).min() > 1e-3


def test_only_the_recent_items_count(model: Sasrec) -> None:
    recent, longer = model.scores(histories([1, 2, 3, 4, 5, 6], [8, 7, 1, 2, 3, 4, 5, 6]))
    torch.testing.assert_close(recent, longer)


def test_a_state_knows_nothing_of_what_comes_later(model: Sasrec) -> None:
    one, other = (model.hidden(Ragged.of(histories(row))) for row in ([1, 2, 3, 4], [1, 2, 7, 8]))
    torch.testing.assert_close(one[:3], other[:3])
    assert (one[3:] - other[3:]).abs().max() > 1e-2


def cycles(n_items: int, users: int, length: int) -> list[list[int]]:
    """Everyone walks the same circle of items from a place of their own; all items are equally popular."""
    return [[(start + step) % n_items for step in range(length)] for start in range(users)]


def test_it_learns_an_order_that_popularity_cannot_know(make_corpus: CorpusMaker) -> None:
    corpus = make_corpus(cycles(40, 160, 8), 40)
    settings = SMALL.model_copy(update={"epochs": 15, "learning_rate": 1e-2, "dropout": 0.1})
    fitted, curve = fit_sasrec(corpus.training(), 40, corpus.split("valid"), settings, seed=1)
    test = corpus.split("test")
    rows = list(test.histories)
    counts = training_counts(corpus.training(), 40)
    guessed, _ = top_k(fitted.scores(rows), 1, counts, rows)
    popular, _ = top_k(Popularity(counts).scores(rows), 1, counts, rows)
    assert (guessed[:, 0] == test.targets).mean() > 0.9
    assert (popular[:, 0] == test.targets).mean() < 0.4
    assert validate(fitted, corpus.split("valid")) == (kept(curve).recall_at_10, kept(curve).ndcg_at_10)
    assert kept(curve).ndcg_at_10 == max(point.ndcg_at_10 or 0.0 for point in curve)


def test_the_same_seed_gives_the_same_weights(make_corpus: CorpusMaker) -> None:
    corpus = make_corpus(cycles(10, 40, 8), 10)
    settings = SMALL.model_copy(update={"precision": "bf16"})

    def weights(seed: int) -> list[torch.Tensor]:
        torch.rand(seed + 1)
        fitted, _ = fit_sasrec(corpus.training(), 10, corpus.split("valid"), settings, seed=seed)
        return list(fitted.parameters())

    first, second, other = weights(5), weights(5), weights(6)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(first, other, strict=True))


def test_training_leaves_the_callers_random_state_alone(make_corpus: CorpusMaker) -> None:
    corpus = make_corpus(cycles(5, 5, 5), 5)
    state = torch.get_rng_state()
    fit_sasrec(corpus.training(), 5, corpus.split("valid"), SMALL, seed=1)
    assert torch.equal(torch.get_rng_state(), state)


def test_held_out_items_change_no_weight(make_corpus: CorpusMaker) -> None:
    sequences = cycles(10, 30, 8)
    random = np.random.default_rng(0)
    other_test = [[*row[:-1], int(random.integers(10))] for row in sequences]
    other_both = [[*row[:-2], *random.integers(10, size=2).tolist()] for row in sequences]

    def weights(rows: list[list[int]], epochs: int) -> torch.Tensor:
        corpus = make_corpus(rows, 10)
        settings = SMALL.model_copy(update={"epochs": epochs})
        fitted, _ = fit_sasrec(corpus.training(), 10, corpus.split("valid"), settings, seed=1)
        return torch.cat([p.detach().flatten() for p in fitted.parameters()])

    assert torch.equal(weights(sequences, 3), weights(other_test, 3))
    # Validation items choose the epoch and nothing else, so with a single epoch they choose nothing.
    assert torch.equal(weights(sequences, 1), weights(other_both, 1))


def test_without_validation_users_the_last_epoch_stays() -> None:
    nobody = Split(np.zeros(0, np.int64), Ragged.of([]), np.zeros(0, np.int32))
    _, curve = fit_sasrec(Ragged.of(cycles(6, 12, 5)), 6, nobody, SMALL, seed=1)
    assert [(point.recall_at_10, point.ndcg_at_10) for point in curve] == [(None, None)] * 2
    assert kept(curve) == curve[-1]
    assert curve[1].loss < curve[0].loss

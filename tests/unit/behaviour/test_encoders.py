"""Every encoder: learns what popularity cannot, repeats itself, sees training alone, scores any history, is stored."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from semconv.artifacts import Corpus, Ragged, Split, finish, staging
from semconv.behaviour.dccf import DccfNetwork, contrast
from semconv.behaviour.encoders import ENCODERS, Fitted
from semconv.behaviour.graph import InteractionGraph
from semconv.behaviour.graph_training import GraphNetwork, bpr_loss, sampled_softmax_loss
from semconv.behaviour.item_to_item import ItemToItem
from semconv.behaviour.lightgcn import LightgcnNetwork
from semconv.behaviour.popularity import Popularity, training_counts
from semconv.behaviour.store import Behaviour
from semconv.behaviour.training import validate
from semconv.behaviour.vectors import joined
from semconv.config import (
    DccfSettings,
    EmbedSettings,
    EncoderSettings,
    LightgcnSettings,
    SasrecSettings,
    determining,
)
from semconv.errors import ResourceError
from tests.unit.behaviour.conftest import CorpusMaker

GRAPH = {"width": 16, "epochs": 6, "batch_size": 64, "negatives": 20, "learning_rate": 1e-2}
SMALL: dict[str, EncoderSettings] = {
    "sasrec": SasrecSettings(width=16, layers=1, heads=1, max_history=8, epochs=6, batch_size=16, learning_rate=1e-2),
    "lightgcn": LightgcnSettings(**GRAPH),
    "dccf": DccfSettings(**GRAPH, intents=4, contrast_nodes=32),
}
BPR = {name: SMALL[name].model_copy(update={"loss": "bpr", "epochs": 15}) for name in ("lightgcn", "dccf")}
NOBODY = Split(np.zeros(0, np.int64), Ragged.of([]), np.zeros(0, np.int32))

every_encoder = pytest.mark.parametrize("name", ENCODERS)
graph_encoders = pytest.mark.parametrize("name", ["lightgcn", "dccf"])


def two_groups(n_items: int, users: int, length: int) -> list[list[int]]:
    """Half of the users buy from the first half of the items alone, the others from the second; no item twice."""
    random = np.random.default_rng(0)
    half = n_items // 2
    return [(random.permutation(half)[:length] + half * (user % 2)).tolist() for user in range(users)]


def fitted(name: str, corpus: Corpus, settings: EncoderSettings, seed: int = 1) -> Fitted:
    split = corpus.split("valid")
    return Fitted(*_fit(name, corpus.training(), corpus.n_items, split, settings, seed))


def _fit(name: str, training: Ragged, n_items: int, valid: Split, settings: EncoderSettings, seed: int = 1):  # type: ignore[no-untyped-def]
    model, curve = ENCODERS[name].fit(training, n_items, valid, settings, seed=seed)
    return model, settings, curve


def same(one: Fitted, other: Fitted) -> bool:
    pairs = zip(one.model.state_dict().values(), other.model.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize(
    ("name", "settings"), [*SMALL.items(), *BPR.items()], ids=[*SMALL, *(f"{name}-bpr" for name in BPR)]
)
def test_it_learns_groups_that_popularity_cannot_know(
    name: str, settings: EncoderSettings, make_corpus: CorpusMaker
) -> None:
    corpus = make_corpus(two_groups(60, 120, 10), 60)
    found = fitted(name, corpus, settings)
    valid = corpus.split("valid")
    recall, ndcg = validate(found.model, valid)
    popular, _ = validate(Popularity(training_counts(corpus.training(), 60)), valid)
    assert recall is not None
    assert popular is not None
    # A group has 22 items left to each user: ten of them hold the target in 45% of the cases, ten of all in half that.
    assert recall > 0.36 > 1.3 * popular
    assert ndcg == max(point.ndcg_at_10 or 0.0 for point in found.curve)
    vectors = torch.nn.functional.normalize(found.model.item_vectors.detach(), dim=1)
    alike = vectors @ vectors.T
    assert alike[:30, :30].mean() > alike[:30, 30:].mean() + 0.2


@every_encoder
def test_the_seed_decides_every_bit_and_leaves_the_callers_random_state_alone(
    name: str, make_corpus: CorpusMaker
) -> None:
    corpus = make_corpus(two_groups(20, 30, 8), 20)
    settings = SMALL[name].model_copy(update={"epochs": 2})
    first = fitted(name, corpus, settings, seed=5)
    torch.rand(3)
    state = torch.get_rng_state()
    again, other = fitted(name, corpus, settings, seed=5), fitted(name, corpus, settings, seed=6)
    assert torch.equal(torch.get_rng_state(), state)
    assert same(first, again)
    assert first.curve == again.curve
    assert not same(first, other)


@every_encoder
def test_it_is_fitted_on_training_interactions_alone(name: str, make_corpus: CorpusMaker) -> None:
    sequences = two_groups(20, 30, 8)
    random = np.random.default_rng(0)
    held_out = [[*row[:-2], *random.integers(20, size=2).tolist()] for row in sequences]
    trained = [[int(random.integers(20)), *row[1:]] for row in sequences]
    # Validation items choose the epoch and nothing else, so with a single epoch they choose nothing.
    settings = SMALL[name].model_copy(update={"epochs": 1})
    one, other, changed = (fitted(name, make_corpus(rows, 20), settings) for rows in (sequences, held_out, trained))
    assert same(one, other)
    assert not same(one, changed)


@pytest.mark.parametrize("value", [0.0, torch.nan])
def test_a_model_that_tells_nothing_apart_finds_nothing(value: float, make_corpus: CorpusMaker) -> None:
    corpus = make_corpus(two_groups(60, users=20, length=6), 60)

    class Blank:
        name = "blank"

        def scores(self, histories: Sequence[np.ndarray]) -> torch.Tensor:
            return torch.full((len(histories), corpus.n_items), value)

    assert validate(Blank(), corpus.split("valid")) == (0.0, 0.0)


@every_encoder
def test_a_loss_that_is_no_number_ends_the_fit(name: str, make_corpus: CorpusMaker) -> None:
    corpus = make_corpus(two_groups(20, users=20, length=6), 20)
    wild = SMALL[name].model_copy(update={"learning_rate": 1e30})
    with pytest.raises(ResourceError, match=f"loss of {name} stopped being a number"):
        fitted(name, corpus, wild)


def histories(*rows: Sequence[int]) -> list[np.ndarray]:
    return [np.array(row, np.int32) for row in rows]


@every_encoder
def test_any_history_has_finite_scores_of_its_own(name: str) -> None:
    training = Ragged.of([[], *two_groups(20, 30, 8), []])
    model, _, curve = _fit(name, training, 23, NOBODY, SMALL[name])  # the last three items were never bought
    rows = histories([], [0], [21], [1, 2, 3, 12, 13, 22], [4] * 30, list(range(23)))
    together = model.scores(rows)
    assert together.shape == (6, 23)
    assert together.dtype == torch.float32
    assert together.isfinite().all()
    torch.testing.assert_close(together, torch.cat([model.scores([row]) for row in rows]))
    assert model.item_vectors.shape == (23, 16)
    assert [point.ndcg_at_10 for point in curve] == [None] * SMALL[name].epochs
    assert model.scores([]).shape == (0, 23)


@every_encoder
@pytest.mark.parametrize("training", [[[0]], [[], [0, 0, 0]], [[]], []])
def test_the_smallest_catalogue_works(name: str, training: list[list[int]]) -> None:
    model, _, _ = _fit(name, Ragged.of(training), 1, NOBODY, SMALL[name])
    assert model.scores(histories([], [0])).isfinite().all()
    assert model.item_vectors.isfinite().all()


@graph_encoders
def test_a_history_is_a_set_to_the_graph(name: str) -> None:
    model, _, _ = _fit(name, Ragged.of(two_groups(20, 30, 8)), 20, NOBODY, SMALL[name])
    one, other = model.scores(histories([1, 2, 3], [3, 1, 1, 2]))
    assert torch.equal(one, other)


def test_an_empty_history_leaves_lightgcn_to_popularity() -> None:
    model, _, _ = _fit("lightgcn", Ragged.of(two_groups(20, 30, 8)), 20, NOBODY, SMALL["lightgcn"])
    assert not model.scores(histories([])).any()


@pytest.mark.parametrize("make", [LightgcnNetwork, DccfNetwork])
def test_a_newcomer_is_scored_as_the_graph_would_score_it(make: type[GraphNetwork]) -> None:
    rows = histories([0, 1, 2], [2, 3, 4, 5], [0, 5])
    settings = SMALL[make.__name__.removesuffix("Network").lower()].model_copy(update={"layers": 3})
    torch.manual_seed(0)
    network = make(InteractionGraph.of(rows, 7), settings)
    with torch.no_grad():
        for table in network.parameters():
            table.normal_()
        # What tells a user of the graph from a newcomer with the same items is its own embedding alone.
        network.users[1] = 0
        users, items, _ = network.propagate()
        scores = network.encoder().scores(rows)
    torch.testing.assert_close(scores[1], users[1] @ items.T)
    assert not torch.allclose(scores[0], users[0] @ items.T)


def test_losses_are_what_they_say() -> None:
    torch.manual_seed(0)
    users, items, drawn = torch.randn(4, 3), torch.randn(4, 3), torch.randn(5, 3)
    cosine = torch.nn.functional.cosine_similarity
    expected = []
    for user, item in zip(users, items, strict=True):
        logits = torch.stack([cosine(user, other, dim=0) / 0.3 for other in (item, *drawn)])
        expected.append(-logits.log_softmax(dim=0)[0])
    torch.testing.assert_close(sampled_softmax_loss(users, items, drawn, 0.3), torch.stack(expected).mean())
    above = torch.stack([user @ (item - other) for user, item, other in zip(users, items, drawn[:4], strict=True)])
    torch.testing.assert_close(bpr_loss(users, items, drawn[:4]), -above.sigmoid().log().mean())


def test_contrast_falls_as_views_agree() -> None:
    torch.manual_seed(0)
    local, noise = torch.randn(8, 6), torch.randn(3, 8, 6)
    agreeing, apart = torch.stack([local, local, local, local]), torch.cat([local[None], noise])
    assert contrast(agreeing, 0.2) < contrast(apart, 0.2)
    torch.testing.assert_close(contrast(agreeing, 0.2), contrast(3 * agreeing, 0.2))


def test_encoders_come_back_from_disk_as_they_were(make_corpus: CorpusMaker, tmp_path: Path) -> None:
    corpus = make_corpus(two_groups(20, 30, 8), 20)
    training = corpus.training()
    counter = ItemToItem.fit(training, 20)
    encoders = [fitted(name, corpus, SMALL[name].model_copy(update={"epochs": 2})) for name in ("dccf", "sasrec")]

    def stored(name: str, encoders: Sequence[Fitted]) -> Behaviour:
        with staging(tmp_path / name) as folder:
            counts = training_counts(training, 20)
            Behaviour.write(folder, counts_N=counts, item_to_item=counter, encoders=encoders)
            finish(folder, "behaviour", settings={}, inputs={"corpus": corpus}, counts={}, request="", seconds=0)
        return Behaviour.open(tmp_path / name)

    two, other = stored("two", encoders), stored("other", [fitted("lightgcn", corpus, SMALL["lightgcn"])])
    assert list(two.models()) == ["popularity", "item_to_item", "sasrec", "dccf"]
    assert list(other.models()) == ["popularity", "item_to_item", "lightgcn"]
    rows = histories([1, 2], [], [18])
    for one in encoders:
        again = two.encoders[one.model.name]
        assert torch.equal(again.scores(rows), one.model.scores(rows))
        assert torch.equal(again.item_vectors, one.model.item_vectors)
        described = json.loads((two.path / f"{one.model.name}.json").read_text())
        assert ENCODERS[one.model.name].settings(**described["settings"]) == one.settings
        assert [point["epoch"] for point in described["curve"]] == [1, 2]
        assert described["kept"]["ndcg_at_10"] == max(point.ndcg_at_10 or 0.0 for point in one.curve)
    assert torch.equal(two.models()["item_to_item"].scores(rows), counter.scores(rows))
    assert torch.equal(two.models()["popularity"].scores(rows)[0], two.counts.float())


def test_vectors_of_several_encoders_weigh_alike_and_are_zero_for_what_nobody_bought(make_corpus: CorpusMaker) -> None:
    corpus = make_corpus(two_groups(20, 30, 8), 20)
    brief = {name: settings.model_copy(update={"epochs": 1}) for name, settings in SMALL.items()}
    encoders = [fitted(name, corpus, settings).model for name, settings in brief.items()]
    has = torch.arange(corpus.n_items) != 2
    vectors = joined(encoders, has)
    assert not vectors[~has].any()
    for part in vectors[has].split([settings.width for settings in brief.values()], dim=1):
        torch.testing.assert_close(part.norm(dim=1), torch.ones(len(part)))


@pytest.mark.parametrize(
    "wrong",
    [
        {"behaviour": "bert4rec"},
        {"also": ["sasrec", "counter"]},
        {"lightgcn": {"intents": 3}},
        {"lightgcn": {"loss": "hinge"}},
        {"lightgcn": {"layers": 0}},
        {"behaviour": []},
        {"dccf": {"intents": 0}},
        {"dccf": {"contrast_temperature": 0.0}},
        {"dccf": {"contrast_weight": -1.0}},
    ],
    ids=str,
)
def test_wrong_settings_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        EmbedSettings.model_validate(wrong)


def test_only_encoders_that_are_fitted_decide_what_is_computed() -> None:
    def decides(**changes: object) -> dict[str, object]:
        return determining(EmbedSettings.model_validate(changes))

    assert list(EmbedSettings(behaviour=("dccf",), also=("sasrec", "dccf")).encoders) == ["dccf", "sasrec"]
    assert decides() == decides(dccf={"intents": 3})
    assert decides(also=["dccf"]) != decides(also=["dccf"], dccf={"intents": 3})
    assert decides(behaviour=["lightgcn"]) == decides(behaviour=["lightgcn"], sasrec={"epochs": 1})
    assert decides() != decides(sasrec={"epochs": 1})

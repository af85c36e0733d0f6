"""The item-to-item counter with other settings, and how they are chosen."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

from semconv.artifacts import Ragged, Split, finish, staging
from semconv.behaviour.item_to_item import FIXED, Counting, ItemToItem
from semconv.behaviour.ordering import top_k
from semconv.behaviour.popularity import training_counts
from semconv.behaviour.store import Behaviour
from semconv.behaviour.tuning import GRID, reached, tune
from tests.unit.behaviour.conftest import CorpusMaker

OTHER = Counting(3, 4, 0.5, distance_exponent=0.5, voter_exponent=0.25, target_exponent=0.3, backward=0.75)


def votes_by_hand(training: list[list[int]], history: list[int], n_items: int, c: Counting) -> list[float]:
    """The counter as `Counting` has it, in plain loops."""
    counts = [max(1, sum(row.count(item) for row in training)) for item in range(n_items)]
    scores = [0.0] * n_items
    for back, voter in enumerate(reversed(history[-c.voters :])):
        for row in training:
            for i, item in enumerate(row):
                for j, other in enumerate(row):
                    if item == voter and 0 < abs(j - i) <= c.window:
                        vote = c.recency**back / abs(j - i) ** c.distance_exponent * (1.0 if j > i else c.backward)
                        scores[other] += vote / counts[voter] ** c.voter_exponent / counts[other] ** c.target_exponent
    return scores


def random_rows(seed: int, n_items: int, n_rows: int, longest: int) -> list[list[int]]:
    random = np.random.default_rng(seed)
    return [random.integers(0, n_items, random.integers(0, longest)).tolist() for _ in range(n_rows)]


def chains(n_items: int, n_users: int, seed: int) -> list[list[int]]:
    """Everybody goes back and forth along the items in steps of up to three: what came before matters as well."""
    random = np.random.default_rng(seed)
    starts = random.integers(0, n_items, n_users)
    return [((start + random.integers(-3, 4, 7).cumsum()) % n_items).tolist() for start in starts]


@pytest.mark.parametrize("counting", [FIXED, OTHER, Counting(backward=1.0), Counting(window=30, voters=2)])
def test_votes_are_what_their_settings_say(counting: Counting) -> None:
    training, histories = random_rows(3, 12, 30, 9), random_rows(4, 14, 6, 13)
    model = ItemToItem.fit(Ragged.of(training), 14, counting)
    expected = [votes_by_hand(training, history, 14, counting) for history in histories]
    np.testing.assert_allclose(model.scores([np.array(h, np.int32) for h in histories]).numpy(), expected, rtol=1e-5)


def test_the_fixed_counter_is_the_reference_to_the_last_bit() -> None:
    training = Ragged.of(random_rows(5, 40, 60, 15))
    row_of = np.repeat(np.arange(len(training)), training.lengths)
    counts = np.maximum(np.bincount(training.values, minlength=40), 1)
    votes = sp.coo_array((40, 40))
    for distance in range(1, 6):
        together = row_of[:-distance] == row_of[distance:]
        places = training.values[:-distance][together], training.values[distance:][together]
        votes = votes + sp.coo_array((np.full(int(together.sum()), 1 / distance), places), shape=(40, 40))
    expected = (votes.toarray() * (1 / np.sqrt(counts))[:, None]).astype(np.float32)
    np.testing.assert_array_max_ulp(ItemToItem.fit(training, 40).votes_NN.toarray(), expected, 1)
    assert ItemToItem.fit(training, 40, Counting()).name == "item_to_item"


@pytest.mark.parametrize("counting", [FIXED, OTHER])
@pytest.mark.parametrize("n_items", [6, 14, 60])
def test_what_is_reached_is_what_the_filtered_ranking_finds(counting: Counting, n_items: int) -> None:
    random = np.random.default_rng(n_items)
    training, histories = Ragged.of(random_rows(6, n_items, 12, 7)), random_rows(7, n_items, 80, 6)
    targets = random.integers(0, n_items, 80).astype(np.int32)
    split = Split(np.arange(80), Ragged.of(histories), targets)
    model, counts = ItemToItem.fit(training, n_items, counting), training_counts(training, n_items)
    rows = list(split.histories)
    hits = top_k(model.scores(rows), 10, counts, rows)[0] == targets[:, None]
    found = reached(model, split, counts)
    assert found.recall_at_10 == hits.sum() / 80
    assert found.ndcg_at_10 == pytest.approx((hits / np.log2(np.arange(10) + 2)).sum() / 80)


def test_tuning_repeats_itself_beats_the_fixed_counter_and_ends_where_no_move_helps(make_corpus: CorpusMaker) -> None:
    corpus = make_corpus(chains(60, 80, 1), 60)
    training, valid, counts = corpus.training(), corpus.split("valid"), training_counts(corpus.training(), 60)
    one, two = (tune(training, 60, valid, users=50, seed=4) for _ in range(2))
    assert one.model.counting == two.model.counting != FIXED
    assert (one.fixed, one.tuned, one.tried, one.users) == (two.fixed, two.tuned, two.tried, 50)
    assert one.fixed is not None
    assert one.tuned is not None
    assert one.tuned.ndcg_at_10 > one.fixed.ndcg_at_10
    every = tune(training, 60, valid, users=1000, seed=4)
    assert every.fixed == reached(ItemToItem.fit(training, 60), valid, counts)
    assert every.tuned == reached(every.model, valid, counts)
    assert every.model.name == "item_to_item_tuned"


def test_every_fixed_setting_is_on_the_grid() -> None:
    assert all(getattr(FIXED, name) in values for name, values in GRID.items())
    assert replace(FIXED, **{name: getattr(FIXED, name) for name in GRID}) == FIXED
    assert len(GRID) == len(FIXED.__dataclass_fields__)


def test_what_is_held_out_changes_no_vote_and_test_targets_no_choice(make_corpus: CorpusMaker) -> None:
    sequences, random = chains(40, 40, 2), np.random.default_rng(0)

    def permuted(place: int) -> list[list[int]]:
        rows = [list(row) for row in sequences]
        for row, other in zip(rows, random.permutation(len(rows)), strict=True):
            row[place] = sequences[other][place]
        return rows

    as_is, other_test, other_valid = (make_corpus(rows, 40) for rows in (sequences, permuted(-1), permuted(-2)))
    fitted = [tune(c.training(), 40, c.split("valid"), users=99, seed=1) for c in (as_is, other_test, other_valid)]
    assert fitted[0].model.counting == fitted[1].model.counting
    assert fitted[0].tuned == fitted[1].tuned != fitted[2].tuned
    counting = fitted[0].model.counting
    for corpus in (other_test, other_valid):
        again = ItemToItem.fit(corpus.training(), 40, counting)
        np.testing.assert_array_equal(again.votes_NN.toarray(), fitted[0].model.votes_NN.toarray())


def test_without_validation_users_the_settings_stay_fixed_and_an_empty_history_hears_no_vote() -> None:
    nobody = Split(np.zeros(0, np.int64), Ragged.of([]), np.zeros(0, np.int32))
    tuned = tune(Ragged.of([[0, 1], []]), 3, nobody, users=10, seed=0)
    assert (tuned.model.counting, tuned.users, tuned.fixed, tuned.tuned) == (FIXED, 0, None, None)
    assert not tuned.model.scores([np.zeros(0, np.int32), np.array([2], np.int32)]).any()
    alone = Split(np.array([0]), Ragged.of([[]]), np.array([1], np.int32))
    assert tune(Ragged.of([[]]), 3, alone, users=10, seed=0).model.counting == FIXED


def test_the_tuned_counter_comes_back_from_disk(make_corpus: CorpusMaker, tmp_path: Path) -> None:
    corpus = make_corpus(chains(40, 40, 3), 40)
    training = corpus.training()
    tuned = tune(training, 40, corpus.split("valid"), users=99, seed=1)
    counts, fixed = training_counts(training, 40), ItemToItem.fit(training, 40)
    with staging(tmp_path / "behaviour") as folder:
        Behaviour.write(folder, counts_N=counts, item_to_item=fixed, tuned=tuned, encoders=[])
        finish(folder, "behaviour", settings={}, inputs={"corpus": corpus}, counts={}, request="", seconds=0)
    stored = Behaviour.open(tmp_path / "behaviour")
    assert list(stored.models()) == ["popularity", "item_to_item", "item_to_item_tuned"]
    rows = list(corpus.split("test").histories)
    for name, model in (("item_to_item", fixed), ("item_to_item_tuned", tuned.model)):
        np.testing.assert_array_equal(stored.models()[name].scores(rows), model.scores(rows))
    described = json.loads((stored.path / "item_to_item_tuned.json").read_text())
    assert Counting(**described["settings"]) == tuned.model.counting
    assert tuned.tuned is not None
    assert described["kept"]["ndcg_at_10"] == tuned.tuned.ndcg_at_10

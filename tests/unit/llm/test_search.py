from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from table_model import TableModel, brute_force, histories

from semconv.artifacts import Ragged
from semconv.behaviour.ordering import NO_ITEM
from semconv.errors import ArtifactError, InputError, ResourceError, SemconvError, SettingError
from semconv.llm.protocol import Extended
from semconv.llm.search import beam_search
from semconv.llm.trie import Trie, catalogue_mark

USERS = 5


def catalogue(items: int, levels: int, codes: int, seed: int) -> tuple[Any, Any]:
    """Codes with collisions, and training counts with ties."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, codes, (items, levels)).astype(np.int32), rng.integers(0, 3, items)


def lists(rng: np.random.Generator, items: int, share: float) -> list[Any]:
    return [np.flatnonzero(rng.random(items) < share).astype(np.int32) for _ in range(USERS)]


@pytest.mark.parametrize("scoring", ["full", "legal"])
@pytest.mark.parametrize(("levels", "codes", "items"), [(1, 9, 6), (2, 5, 20), (3, 4, 60), (4, 4, 40), (5, 3, 90)])
def test_with_beams_for_all_it_ranks_the_whole_catalogue(scoring: Any, levels: int, codes: int, items: int) -> None:
    rows, counts = catalogue(items, levels, codes, seed=levels)
    model = TableModel(USERS, levels, codes)
    found = beam_search(model, Trie.build(rows, codes, training_counts=counts), histories(USERS), items, items, scoring)
    for user in range(USERS):
        wanted, scores = brute_force(model, user, rows, items, scoring, counts)
        if scoring == "full":
            assert found.items[user].tolist() == wanted
        np.testing.assert_allclose(found.scores[user], scores, atol=1e-5)
        by_item = dict(zip(wanted, scores, strict=True))
        np.testing.assert_allclose([by_item[item] for item in found.items[user]], scores, atol=1e-5)


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("scoring", ["full", "legal"])
def test_the_score_of_every_prefix_is_that_of_an_item_with_no_further_codes(scoring: Any, whole: bool) -> None:
    levels, codes, items = 3, 4, 60
    rows, _ = catalogue(items, levels, codes, seed=3)
    model = TableModel(USERS, levels, codes)
    model.items_UN = torch.randn(USERS, items, generator=torch.Generator().manual_seed(3)) if whole else None
    trie, asked = Trie.build(rows, codes), lists(np.random.default_rng(5), items, 0.2)
    everything = beam_search(model, trie, histories(USERS), items + 2, items + 2, scoring)
    few = beam_search(model, trie, histories(USERS), 7, 9, scoring)
    led = beam_search(model, trie, histories(USERS), 20, 20, scoring, allow=asked, exclude=[asked[0][:2]] * USERS)
    assert everything.prefixes.shape == (USERS, items + 2, levels)
    for found in (everything, few, led):
        for user in range(USERS):
            there = found.items[user] != NO_ITEM
            ranked, prefixes_KL = found.items[user][there], found.prefixes[user][there]
            assert len(ranked)
            for level in range(1, levels + 1):
                alone = brute_force(TableModel(USERS, level, codes), user, rows[:, :level], items, scoring)
                by_item = dict(zip(*alone, strict=True))
                np.testing.assert_allclose(prefixes_KL[:, level - 1], [by_item[item] for item in ranked], atol=1e-5)
            said = model.items_UN[user].numpy()[ranked] if model.items_UN is not None else 0.0
            np.testing.assert_allclose(found.scores[user][there], prefixes_KL[:, -1] + said, atol=1e-5)


@pytest.mark.parametrize("scoring", ["full", "legal"])
def test_what_a_model_says_of_whole_items_is_added_and_tells_items_of_one_tuple_apart(scoring: Any) -> None:
    rows, counts = catalogue(60, 2, 4, seed=1)
    model = TableModel(USERS, 2, 4)
    model.items_UN = torch.randn(USERS, 60, generator=torch.Generator().manual_seed(3))
    trie = Trie.build(rows, 4, training_counts=counts)
    found = beam_search(model, trie, histories(USERS), 60, 60, scoring)
    few = beam_search(model, trie, histories(USERS), 7, 60, scoring)
    for user in range(USERS):
        wanted, scores = brute_force(model, user, rows, 60, scoring, counts)
        assert found.items[user].tolist() == wanted
        np.testing.assert_allclose(found.scores[user], scores, atol=1e-5)
        assert few.items[user].tolist() == wanted[:7]
    model.items_UN[1, 7] = torch.nan
    with pytest.raises(SemconvError, match="infinity or NaN"):
        beam_search(model, trie, histories(USERS), 60, 60, scoring)


@given(st.integers(0, 10**6), st.integers(1, 12), st.floats(0, 1), st.sampled_from(["full", "legal"]), st.data())
@settings(max_examples=60, deadline=None)
def test_filters_give_what_brute_force_gives(seed: int, k: int, share: float, scoring: Any, data: Any) -> None:
    rows, counts = catalogue(30, 3, 4, seed)
    rng = np.random.default_rng(seed)
    model = TableModel(USERS, 3, 4, seed)
    legal = [set(range(30)) for _ in range(USERS)]
    exclude = lists(rng, 30, share) if data.draw(st.booleans()) else None
    kind = data.draw(st.sampled_from(["none", "shared", "mask", "lists"]))
    masks = rng.random((USERS, 30)) < data.draw(st.floats(0, 1))
    allow = {"none": None, "shared": masks[0], "mask": masks, "lists": [np.flatnonzero(m) for m in masks]}[kind]
    for user in range(USERS):
        if exclude is not None:
            legal[user] -= set(exclude[user].tolist())
        if allow is not None:
            legal[user] &= set(np.flatnonzero(masks[0 if kind == "shared" else user]).tolist())
    trie = Trie.build(rows, 4, training_counts=counts)
    found = beam_search(model, trie, histories(USERS), k, 30, scoring, exclude=exclude, allow=allow)
    for user in range(USERS):
        wanted, scores = brute_force(model, user, rows, k, scoring, counts, legal[user])
        pad = k - len(wanted)
        np.testing.assert_allclose(found.scores[user], scores + [-np.inf] * pad, atol=1e-5)
        assert sorted(found.items[user].tolist()) == sorted(wanted + [NO_ITEM] * pad)


@given(st.integers(0, 10**6), st.integers(1, 25), st.floats(0, 1), st.sampled_from(["full", "legal"]))
@settings(max_examples=60, deadline=None)
def test_beams_as_many_as_k_return_k_legal_items_whenever_there_are(
    seed: int, k: int, share: float, scoring: Any
) -> None:
    rows, _ = catalogue(40, 4, 4, seed)
    exclude = lists(np.random.default_rng(seed), 40, share)
    exclude[0] = np.arange(40, dtype=np.int32)
    found = beam_search(
        TableModel(USERS, 4, 4, seed), Trie.build(rows, 4), histories(USERS), k, k, scoring, exclude=exclude
    )
    for user in range(USERS):
        got = found.items[user][found.items[user] != NO_ITEM].tolist()
        assert len(got) == min(k, 40 - len(exclude[user]))
        assert len(set(got)) == len(got)
        assert not set(got) & set(exclude[user].tolist())
        assert set(got) <= set(range(40))
        assert (np.diff(found.scores[user][: len(got)]) <= 0).all()
        assert (found.items[user][len(got) :] == NO_ITEM).all()
        assert np.isneginf(found.scores[user][len(got) :]).all()


@pytest.mark.parametrize("beams", [2, 3, 7])
def test_a_narrow_beam_keeps_the_best_prefixes_level_by_level(beams: int) -> None:
    rows, _ = catalogue(60, 3, 4, seed=3)
    model = TableModel(1, 3, 4, seed=5)
    prefixes: dict[tuple[int, ...], float] = {(): 0.0}
    for level in range(3):
        longer = {
            row[: level + 1]: prefixes[row[:level]]
            + float(
                model.tables[level][0, sum(c * 4 ** (level - 1 - i) for i, c in enumerate(row[:level])), row[level]]
            )
            for row in map(tuple, rows.tolist())
            if row[:level] in prefixes
        }
        prefixes = dict(sorted(longer.items(), key=lambda entry: -entry[1])[:beams])
    found = beam_search(model, Trie.build(rows, 4), histories(1), 2, beams)
    best = [item for row in prefixes for item in np.flatnonzero((rows == row).all(1)).tolist()]
    assert found.items[0].tolist() == best[:2]


def test_equal_scores_rank_by_tuple_then_count_then_item() -> None:
    rows, counts = catalogue(50, 3, 3, seed=8)
    model = TableModel(USERS, 3, 3, coarse=True)
    found = beam_search(model, Trie.build(rows, 3, training_counts=counts), histories(USERS), 50, 50)
    for user in range(USERS):
        assert found.items[user].tolist() == brute_force(model, user, rows, 50, "full", counts)[0]


def test_a_code_without_alternative_adds_nothing_to_a_legal_score() -> None:
    rows = np.array([[0, 1, 2], [1, 0, 0]], np.int32)
    model = TableModel(1, 3, 3)
    found = beam_search(model, Trie.build(rows, 3), histories(1), 2, 2, "legal")
    first = model.tables[0][0, 0]
    expected = (first[:2] - first[:2].logsumexp(0)).sort(descending=True)
    np.testing.assert_allclose(found.scores[0], expected.values, atol=1e-6)
    assert found.items[0].tolist() == expected.indices.tolist()


@pytest.mark.parametrize("scoring", ["full", "legal"])
def test_items_a_model_holds_impossible_come_last_but_come(scoring: Any) -> None:
    rows = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.int32)
    model = TableModel(1, 2, 2)
    model.tables[0][0, 0, 1] = -torch.inf
    model.tables[1][0, 0, 0] = -torch.inf
    found = beam_search(model, Trie.build(rows, 2), histories(1), 4, 4, scoring)
    assert found.items[0, 0] == 1
    assert sorted(found.items[0].tolist()) == [0, 1, 2, 3]
    assert np.isfinite(found.scores).all()


def test_items_left_out_of_the_trie_are_not_found() -> None:
    rows, _ = catalogue(20, 2, 4, seed=1)
    trie = Trie.build(rows, 4, items=[3, 7, 11])
    exclude = [np.array([7, 9], np.int32)] * USERS
    found = beam_search(TableModel(USERS, 2, 4), trie, histories(USERS), 5, 5, exclude=exclude)
    assert all(sorted(row.tolist()) == [-1, -1, -1, 3, 11] for row in found.items)


@pytest.mark.parametrize("fits", [1, 2, 4])
@pytest.mark.parametrize("kind", ["none", "shared", "mask", "lists"])
def test_a_batch_that_does_not_fit_is_halved_and_nothing_changes(fits: int, kind: str) -> None:
    rows, _ = catalogue(40, 3, 4, seed=2)
    trie, rng = Trie.build(rows, 4), np.random.default_rng(0)
    exclude, masks = Ragged.of(lists(rng, 40, 0.3)), rng.random((USERS, 40)) < 0.8
    allow: Any = {"none": None, "shared": masks[0], "mask": masks, "lists": [np.flatnonzero(m) for m in masks]}[kind]
    model = TableModel(USERS, 3, 4)
    whole = beam_search(model, trie, histories(USERS), 6, 9, exclude=exclude, allow=allow)
    model.fits, model.batches = fits, []
    parts = beam_search(model, trie, histories(USERS), 6, 9, exclude=exclude, allow=allow)
    assert max(model.batches) <= fits
    assert sum(model.batches) == USERS
    np.testing.assert_array_equal(whole.items, parts.items)
    np.testing.assert_array_equal(whole.scores, parts.scores)
    np.testing.assert_array_equal(whole.prefixes[whole.items >= 0], parts.prefixes[parts.items >= 0])


class Unbounded(TableModel):
    """Where users do not fit, asks the allocator for more than there can be."""

    def start(self, histories: Any, beams: int, *, normalised: bool) -> Any:
        if len(histories) > self.fits:
            torch.empty(2**60, dtype=torch.uint8)
        return super().start(histories, beams, normalised=normalised)


@pytest.mark.parametrize("fits", [1, 3])
def test_what_the_allocator_of_the_cpu_refuses_is_halved_too(fits: int) -> None:
    rows, _ = catalogue(40, 3, 4, seed=2)
    trie, model = Trie.build(rows, 4), Unbounded(USERS, 3, 4)
    whole = beam_search(model, trie, histories(USERS), 6, 9)
    with pytest.raises(RuntimeError) as refused:
        torch.empty(2**60, dtype=torch.uint8)
    assert not isinstance(refused.value, torch.OutOfMemoryError)
    model.fits, model.batches = fits, []
    parts = beam_search(model, trie, histories(USERS), 6, 9)
    assert max(model.batches) <= fits
    assert sum(model.batches) == USERS
    np.testing.assert_array_equal(whole.items, parts.items)
    np.testing.assert_array_equal(whole.scores, parts.scores)
    np.testing.assert_array_equal(whole.prefixes[whole.items >= 0], parts.prefixes[parts.items >= 0])


def test_an_error_of_another_kind_is_not_tried_again() -> None:
    tries: list[int] = []

    class Torn(TableModel):
        def start(self, histories: Any, beams: int, *, normalised: bool) -> Any:
            tries.append(len(histories))
            return torch.ones(2, 3) @ torch.ones(2, 3)

    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        beam_search(Torn(USERS, 2, 4), Trie.build(catalogue(9, 2, 4, 0)[0], 4), histories(USERS), 3, 3)
    assert tries == [USERS]


def test_one_history_that_does_not_fit_is_an_error() -> None:
    model = TableModel(USERS, 2, 4)
    model.fits = 0
    with pytest.raises(ResourceError, match="One history with 3 beams"):
        beam_search(model, Trie.build(catalogue(9, 2, 4, 0)[0], 4), histories(USERS), 3, 3)


def test_an_empty_batch_gives_an_empty_answer() -> None:
    found = beam_search(TableModel(1, 2, 4), Trie.build(catalogue(9, 2, 4, 0)[0], 4), [], 3, 3)
    assert found.items.shape == found.scores.shape == (0, 3)


def test_a_model_of_another_catalogue_is_refused() -> None:
    rows, _ = catalogue(9, 2, 4, 0)
    model = TableModel(USERS, 2, 4)
    model.catalogue = catalogue_mark(rows)
    beam_search(model, Trie.build(rows, 4, items=[1, 2]), histories(USERS), 2, 2)
    with pytest.raises(ArtifactError, match="other codes"):
        beam_search(model, Trie.build(rows[::-1].copy(), 4), histories(USERS), 3, 3)


def test_a_filter_that_leaves_nothing_gives_an_empty_answer() -> None:
    rows, _ = catalogue(9, 2, 4, 0)
    found = beam_search(TableModel(USERS, 2, 4), Trie.build(rows, 4), histories(USERS), 3, 3, allow=np.zeros(9, bool))
    assert (found.items == NO_ITEM).all()
    assert np.isneginf(found.scores).all()


def test_legal_scoring_asks_only_about_beams_with_a_choice() -> None:
    rows = np.array([[0, 1, 2], [1, 0, 0], [1, 0, 3], [2, 3, 3], [2, 1, 3]], np.int32)
    model = TableModel(1, 3, 4)
    beam_search(model, Trie.build(rows, 4), histories(1), 5, 5, "legal")
    assert model.asked == [1, 1]
    model.asked = []
    beam_search(model, Trie.build(rows, 4), histories(1), 5, 5, "full")
    assert model.asked == [3, 4]


def test_nan_is_an_error() -> None:
    model = TableModel(USERS, 2, 4)
    model.tables[1][3] = torch.nan
    with pytest.raises(SemconvError, match="NaN at level 2 of 2"):
        beam_search(model, Trie.build(catalogue(9, 2, 4, 0)[0], 4), histories(USERS), 3, 3)


@pytest.mark.parametrize(
    ("levels", "codes", "k", "beams", "filters", "error", "words"),
    [
        (3, 4, 3, 3, {}, ArtifactError, "2 levels of 4 codes, the model 3 of 4"),
        (2, 5, 3, 3, {}, ArtifactError, "2 levels of 4 codes, the model 2 of 5"),
        (2, 4, 0, 3, {}, SettingError, "0 items"),
        (2, 4, 4, 3, {}, SettingError, "4 items with 3 beams"),
        (2, 4, 3, 3, {"exclude": [[1]]}, InputError, "1 lists for 5 histories"),
        (2, 4, 3, 3, {"exclude": [[9]] * USERS}, InputError, "exclude names items outside the catalogue of 9"),
        (2, 4, 3, 3, {"allow": [[-1]] * USERS}, InputError, "allow names items outside"),
        (2, 4, 3, 3, {"allow": np.ones(8, bool)}, InputError, "bool .9"),
        (2, 4, 3, 3, {"allow": np.ones((USERS, 9), np.int8)}, InputError, "not bool"),
    ],
)
def test_what_does_not_fit_is_refused(
    levels: int, codes: int, k: int, beams: int, filters: Any, error: type, words: str
) -> None:
    trie = Trie.build(catalogue(9, 2, 4, 0)[0], 4)
    with pytest.raises(error, match=words):
        beam_search(TableModel(USERS, levels, codes), trie, histories(USERS), k, beams, **filters)


@pytest.mark.data
@pytest.mark.parametrize("index", ["letter_native", "rqvae_native", "rkmeans_native"])
def test_a_published_index_is_ranked_whole(index: str, published_codes: Any) -> None:
    codes = published_codes(index)

    class Additive:
        """Scores that depend on level and code alone, so that the whole ranking is a sum of four look-ups."""

        levels, codes, catalogue = 4, 256, None
        tables = torch.randn(4, 256, generator=torch.Generator().manual_seed(1)).log_softmax(-1)

        def start(self, histories: Any, beams: int, *, normalised: bool) -> Any:
            return None, self.tables[0].expand(len(histories), -1)

        def step(self, state: Any, level: int, beams: Extended, *, normalised: bool) -> Any:
            return None, self.tables[level].expand(int(beams.asked_BK.sum()), -1)

        def finish(self, state: Any, items_T: torch.Tensor, rows_T: torch.Tensor) -> None:
            return None

    n = len(codes)
    found = beam_search(Additive(), Trie.build(codes, 256), histories(1), n, n)
    scores = np.zeros(n, np.float32)
    for level in range(4):
        scores += Additive.tables[level].numpy()[codes[:, level]]
    assert sorted(found.items[0].tolist()) == list(range(n))
    np.testing.assert_array_equal(scores[found.items[0]], found.scores[0])
    np.testing.assert_array_equal(-np.sort(-scores), found.scores[0])

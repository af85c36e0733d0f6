"""A shop's rules: kept by every list, and nothing else is changed by them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_run import publish

from semconv.artifacts import Corpus, Run
from semconv.artifacts.corpus import ITEMS
from semconv.artifacts.ragged import Int32
from semconv.behaviour.ordering import NO_ITEM, top_k
from semconv.config import RecommendSettings, Settings, determining
from semconv.errors import SettingError
from semconv.recommend.load import open_rankers, open_recommender
from semconv.recommend.ranker import Ranking
from semconv.recommend.rules import Ruled, Rules
from semconv.tokens.categories import NO_KIND

N_ITEMS = 30


class Scored:
    """Ranks the catalogue by scores that depend on the history; equal ones are common."""

    name = "scored"

    def __init__(self, seed: int) -> None:
        self._scores_NN = torch.randint(0, 12, (N_ITEMS, N_ITEMS), generator=torch.Generator().manual_seed(seed))
        self._counts_N = torch.arange(N_ITEMS) % 4
        self.asked: list[int] = []

    def rank(self, histories: Sequence[Int32], k: int, *, exclude: Sequence[Int32] | None = None) -> Ranking:
        self.asked.append(len(histories))
        scores_BN = torch.stack([self._scores_NN[len(history)] for history in histories])
        return Ranking(*top_k(scores_BN, k, self._counts_N, exclude))


def greedy(whole: Int32, rules: Rules, k: int) -> list[int]:
    """The list by its definition: the whole catalogue from the best item down."""
    taken: list[int] = []
    for item in whole[whole != NO_ITEM].tolist():
        category = rules.category_N[item]
        alike = sum(rules.category_N[other] == category for other in taken)
        if item not in rules.blocked and (category == NO_KIND or alike < rules.per_category):
            taken.append(item)
    return taken[:k]


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 1000),
    categories=st.integers(1, 12),
    per_category=st.integers(1, 4),
    blocked=st.sets(st.integers(0, N_ITEMS - 1), max_size=N_ITEMS),
    k=st.integers(1, N_ITEMS + 5),
    depth=st.integers(1, N_ITEMS + 5),
    filtered=st.booleans(),
)
def test_a_ruled_list_is_the_greedy_choice_from_the_whole_catalogue(
    seed: int, categories: int, per_category: int, blocked: set[int], k: int, depth: int, filtered: bool
) -> None:
    rng = np.random.default_rng(seed)
    category_N = rng.integers(NO_KIND, categories, N_ITEMS)
    rules = Rules(np.asarray(sorted(blocked), np.int32), category_N, per_category)
    histories = [rng.integers(0, N_ITEMS, length).astype(np.int32) for length in range(5)]
    exclude = histories if filtered else None
    ranker = Scored(seed)
    whole = ranker.rank(histories, N_ITEMS, exclude=exclude)
    ruled = rules.over(ranker, depth).rank(histories, k, exclude=exclude)
    assert ruled.items.shape == ruled.scores.shape == (5, k)
    assert (ruled.items.dtype, ruled.scores.dtype) == (np.int32, np.float32)
    for row, (items, scores) in enumerate(zip(ruled.items, ruled.scores, strict=True)):
        expected = greedy(whole.items[row], rules, k)
        assert items.tolist() == expected + [NO_ITEM] * (k - len(expected))
        score_of = dict(zip(whole.items[row].tolist(), whole.scores[row].tolist(), strict=True))
        assert scores.tolist() == [score_of[item] for item in expected] + [-np.inf] * (k - len(expected))


def test_only_short_lists_are_asked_for_again() -> None:
    ranker = Scored(0)
    category_N = np.full(N_ITEMS, NO_KIND)
    histories = [np.zeros(length, np.int32) for length in range(4)]
    best_of_one = ranker.rank(histories, 5).items[2]
    category_N[best_of_one] = 0
    rest = [len(set(items.tolist()) & set(best_of_one.tolist())) for items in ranker.rank(histories, 5).items]
    ranker.asked.clear()
    Ruled(ranker, Rules(np.zeros(0, np.int32), category_N, 4), 1).rank(histories, 5)
    assert ranker.asked == [4, sum(shared > 4 for shared in rest)]


class Narrow:
    """Looks at two items alone, and at two others, one of them better, when told to leave something out."""

    name = "narrow"

    def rank(self, histories: Sequence[Int32], k: int, *, exclude: Sequence[Int32] | None = None) -> Ranking:
        assert exclude is not None
        items, scores = ([5, 6], [2.5, 1.0]) if len(exclude[0]) else ([0, 1], [2.0, 1.5])
        return Ranking(np.asarray([items], np.int32), np.asarray([scores], np.float32))


def test_what_is_found_later_is_placed_by_its_score() -> None:
    rules = Rules(np.zeros(0, np.int32), np.asarray([0, 0, 1, 1, 1, 1, 2]), 1)
    ranking = Ruled(Narrow(), rules, 2).rank([np.zeros(0, np.int32)], 2)
    assert ranking.items.tolist() == [[5, 0]]
    assert ranking.scores.tolist() == [[2.5, 2.0]]


def test_no_history_gives_no_list() -> None:
    ruled = Ruled(Scored(0), Rules(np.zeros(0, np.int32), np.zeros(N_ITEMS, np.int64), 1), 5)
    assert ruled.rank([], 4).items.shape == (0, 4)


def catalogue(tmp_path: Path, categories: Sequence[list[str] | None]) -> Corpus:
    def write(folder: Path) -> None:
        (folder / "items").mkdir()
        rows = [{"item_id": f"i{item}", "categories": names} for item, names in enumerate(categories)]
        pq.write_table(pa.Table.from_pylist(rows, schema=ITEMS), folder / "items" / "part-0.parquet")

    run = Run(str(tmp_path), "shop")
    publish(run, "corpus", write, {})
    return Corpus.open(run.artifact("corpus"))


def test_an_item_counts_towards_its_rarest_category_alone(tmp_path: Path) -> None:
    nails, hair = ["Beauty", "Nails"], ["Beauty", "Hair"]
    shop = catalogue(tmp_path, [nails, nails[::-1], hair, ["Beauty"], None, [], hair[::-1]])
    rules = Rules.of(shop, RecommendSettings(per_category=1, blocked=("i6",)))
    everything = np.arange(7, dtype=np.int32)
    assert rules.allowed(everything).tolist() == [0, 2, 3, 4, 5]
    assert rules.allowed(everything[::-1]).tolist() == [1, 2, 3, 4, 5]
    assert rules.full(np.asarray([1, 4], np.int32)).tolist() == [0, 1]


def test_rules_that_cannot_be_kept_are_refused(tmp_path: Path, small_run: Run) -> None:
    shop = catalogue(tmp_path, [None, None])
    with pytest.raises(SettingError, match=r"2 ids of recommend\.blocked .* such as 'i7'"):
        Rules.of(shop, RecommendSettings(blocked=("i1", "i7", "x")))
    with pytest.raises(SettingError, match=r"no item of .* has a category"):
        Rules.of(shop, RecommendSettings(per_category=2))
    with pytest.raises(SettingError, match="blocked"):
        open_recommender(small_run, RecommendSettings(blocked=("nothing of the kind",)))


def test_a_rule_that_is_not_set_changes_nothing_and_one_that_is_counts() -> None:
    plain = RecommendSettings()
    assert set(determining(plain)) == {"system", "beams", "candidates"}
    blocking = RecommendSettings(blocked=("b", "a", "b"))
    assert determining(blocking)["blocked"] == ["a", "b"]
    assert determining(blocking) == determining(RecommendSettings(blocked=("a", "b")))
    assert determining(blocking) != determining(plain)
    assert determining(RecommendSettings(per_category=2))["per_category"] == 2
    assert RecommendSettings.model_validate(determining(blocking)) == blocking


@pytest.mark.parametrize("system", ["converged", "generative"])
def test_the_recommender_of_a_run_keeps_the_rules(small_run: Run, system: Any) -> None:
    corpus = Corpus.open(small_run.artifact("corpus"))
    plain = RecommendSettings(system=system, beams=20, candidates=20)
    free = open_recommender(small_run, plain)
    histories = list(corpus.sequences)
    best = free.rank(histories, 10, exclude=histories)
    blocked = np.unique(best.items[:, 0])
    ids = tuple(corpus.item_ids[item] for item in blocked)
    ruled = open_recommender(small_run, plain.model_copy(update={"blocked": ids}))
    ranking = ruled.rank(histories, 10, exclude=histories)
    barred = [np.concatenate([history, blocked]).astype(np.int32) for history in histories]
    expected = free.rank(histories, 10, exclude=barred)
    assert ruled.name == free.name
    assert not np.isin(ranking.items, blocked).any()
    assert (ranking.items != NO_ITEM).all()
    assert np.array_equal(ranking.items, expected.items)
    np.testing.assert_array_equal(ranking.scores, expected.scores)


@pytest.mark.parametrize("system", ["converged", "generative"])
def test_capped_lists_of_a_run_are_full_and_best_first(small_run: Run, system: Any) -> None:
    corpus = Corpus.open(small_run.artifact("corpus"))
    free = open_recommender(small_run, RecommendSettings(system=system, beams=20, candidates=20))
    category_N = np.arange(corpus.n_items) % 7
    rules = Rules(np.zeros(0, np.int32), category_N, 2)
    histories = list(corpus.sequences)
    ranking = rules.over(free, 20).rank(histories, 16, exclude=histories)
    assert (np.diff(ranking.scores[:, :14]) <= 0).all()
    for items, history in zip(ranking.items, histories, strict=True):
        assert np.bincount(category_N[items[:14]]).tolist() == [2] * 7
        assert (items[14:] == NO_ITEM).all()
        assert not np.isin(items, history).any()
    loose = rules.over(free, 20)
    assert isinstance(loose, Ruled)
    generous = Rules(rules.blocked, category_N, 6).over(free, 20).rank(histories, 10, exclude=histories)
    unruled = free.rank(histories, 10, exclude=histories)
    assert np.array_equal(generous.items, unruled.items)
    assert np.array_equal(generous.scores, unruled.scores)
    alone = rules.over(free, 20).rank(histories[3:4], 16, exclude=histories[3:4])
    assert alone.items[0].tolist() == ranking.items[3].tolist()


def test_systems_are_evaluated_without_rules(small_run: Run) -> None:
    corpus = Corpus.open(small_run.artifact("corpus"))
    histories = list(corpus.sequences)[:3]
    ruled = Settings(recommend=RecommendSettings(blocked=tuple(corpus.item_ids[:30])))
    evaluated = open_rankers(small_run, ruled)["converged"].rank(histories, 10)
    free = open_recommender(small_run, RecommendSettings()).rank(histories, 10)
    assert np.array_equal(evaluated.items, free.items)

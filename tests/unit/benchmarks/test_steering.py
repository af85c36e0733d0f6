"""What the steering benchmark counts, on lists and catalogues small enough to count by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from benchmarks.steering import Matching, figures, first_matching, steering, unfitted
from semconv.alignment.phrases import words_of
from semconv.artifacts import Ragged, Split
from semconv.artifacts.corpus import ITEMS
from semconv.behaviour.training import sample
from semconv.errors import ArtifactError
from semconv.recommend.blend import Blend
from semconv.recommend.converged import ConvergedRanker
from semconv.recommend.plain_sources import PopularitySource
from semconv.recommend.ranker import NO_ITEM
from semconv.recommend.score_sources import EncoderSource
from semconv.recommend.steered import SteeredRanker
from semconv.recommend.wish import FEATURES, WishSource

N = 24


@pytest.fixture(scope="module")
def items() -> pa.Table:
    rows: list[dict[str, Any]] = [
        {
            "item_id": f"i{item}",
            "title": f"{('red', 'blue', 'green')[item % 3]} thing n{item}",
            "brand": ("OPI", "Glow & Co.", None)[item % 3],
            "categories": ["All", ("Soap", "Nail Polish")[item % 2]],
        }
        for item in range(N)
    ]
    return pa.Table.from_pylist(rows, schema=ITEMS)


def test_what_matches_a_wish_goes_by_its_kind(items: pa.Table) -> None:
    matching, places = Matching(items), np.arange(N)
    assert np.array_equal(matching.of("brand", "glow & co"), places % 3 == 1)
    assert np.array_equal(matching.of("category", "Nail Polish"), places % 2 == 1)
    assert np.array_equal(matching.of("phrase", "red n3"), places == 3)
    assert not matching.of("brand", "red").any()
    assert not matching.of("phrase", "OPI").any()


def test_filtering_puts_what_matches_first_and_keeps_the_order() -> None:
    matches_N = np.array([False, True, False, True, True])
    assert first_matching(np.array([0, 3, 2, 1, NO_ITEM], np.int32), matches_N).tolist() == [3, 1, 0, 2, NO_ITEM]


def test_figures_are_counted_over_users() -> None:
    matches = [np.arange(30) < 20, np.arange(30) < 5]
    full, short = np.arange(10, dtype=np.int32), np.array([29, 3, *[NO_ITEM] * 8], np.int32)
    missed = np.arange(20, 30, dtype=np.int32)
    lists = [
        {"steered": full, "unsteered": missed, "filtered": full, "wish_only": short, "near": full[:5]},
        {"steered": short, "unsteered": missed, "filtered": missed, "wish_only": full, "near": missed},
    ]
    found = figures(lists, matches, [4, 3])
    assert found["users"] == 2
    assert found["share_possible@10"] == 0.75
    assert found["steered"] == {"recall@10": 1.0, "share_matching@10": 0.55, "among_unsteered@100": 0.3}
    assert found["filtered"] == {"recall@10": 0.5, "share_matching@10": 0.5, "among_unsteered@100": 0.75}
    assert found["wish_only"]["recall@10"] == 0.5
    assert found["unsteered"]["recall@10"] == 0.0
    assert found["steered_over_filtered"]["difference"] == 0.5
    assert found["steered_over_filtered"]["low"] <= 0.5 <= found["steered_over_filtered"]["high"]


class Next:
    """Likes the items after the last one, the nearest best, by scores that a blend takes as they are."""

    name = "next"

    def scores(self, histories: Any) -> torch.Tensor:
        return torch.stack([-((torch.arange(N) - int(history[-1]) - 1) % N) / 10 for history in histories])


def encode(texts: Any) -> torch.Tensor:
    return torch.tensor([[1.0, len(words_of(text))] for text in texts])


def ranker(items: pa.Table) -> SteeredRanker:
    """History decides, but for the wish, whose words count more."""
    counts_N = torch.ones(N)
    sources = [EncoderSource(Next(), counts_N), PopularitySource(counts_N)]
    names = [name for source in sources for name in source.features]
    plain, wishing = Blend(names, 0), Blend([*names, *FEATURES], 0)
    with torch.no_grad():
        plain.linear.weight[0, 0] = wishing.linear.weight[0, 0] = 10.0
        wishing.linear.weight[0, len(names) : len(names) + 3] = 100.0
    wishes = WishSource(items, encode(items["title"].to_pylist()), counts_N, encode)
    return SteeredRanker(
        "steered", ConvergedRanker("converged", sources, plain, counts_N, 5), wishes, wishing, counts_N
    )


def test_steering_is_measured_on_all_who_have_a_wish(items: pa.Table) -> None:
    histories = [np.array([item], np.int32) for item in range(N)]
    targets = np.array([(item + 12) % N for item in range(N)], np.int32)
    split = Split(np.arange(N), Ragged.of(histories), targets)
    found = steering(ranker(items), items, split, depth=N)
    assert list(found) == ["phrase", "category", "brand"]
    assert [found[kind]["users"] for kind in found] == [24, 24, 16]
    for kind in found.values():
        assert kind["unsteered"]["recall@10"] == 0  # twelve steps away
        assert kind["filtered"]["recall@10"] == 1
        assert kind["steered"]["recall@10"] == 1
        assert kind["steered"]["share_matching@10"] >= kind["unsteered"]["share_matching@10"]
        assert kind["filtered"]["share_matching@10"] <= kind["share_possible@10"]
    assert found["brand"]["share_possible@10"] == 0.8
    assert found == steering(ranker(items), items, split, depth=N)
    nameless = pa.Table.from_pylist([{"item_id": f"i{item}"} for item in range(N)], schema=ITEMS)
    with pytest.raises(ArtifactError, match="to wish for"):
        steering(ranker(items), nameless, split, depth=N)


def test_those_asked_are_the_users_that_no_blend_was_fitted_on() -> None:
    users = np.arange(10, dtype=np.int64) * 3
    histories = Ragged.of([np.array([n, n + 1], np.int32) for n in range(10)])
    valid = Split(users, histories, np.arange(10, dtype=np.int32))
    fitted = sample(valid, 7, np.random.default_rng(5))
    asked = unfitted(valid, 7, 5)
    assert sorted([*fitted.users, *asked.users]) == users.tolist()
    assert [row[0] for row in asked.histories] == asked.targets.tolist() == (asked.users // 3).tolist()
    with pytest.raises(ArtifactError, match="fitted on all validation users"):
        unfitted(valid, 10, 5)

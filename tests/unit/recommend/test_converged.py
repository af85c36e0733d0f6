"""Evidence is a function of history and item; a blend learns what it is shown; sources can be taken away."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from semconv.artifacts import Convergence, Corpus, Run
from semconv.behaviour.item_to_item import ItemToItem
from semconv.errors import ArtifactError
from semconv.recommend.blend import Blend, read_blend
from semconv.recommend.blend_fitting import Lesson, figures, fit_blend, held_out, joined, target_ranks
from semconv.recommend.evidence import Evidence, gather, source_name
from semconv.recommend.load import Opened
from semconv.recommend.plain_sources import FactsSource, HistorySource
from semconv.recommend.ranker import NO_ITEM
from semconv.recommend.remembered import Remembered
from semconv.recommend.score_sources import CounterSource, EncoderSource

K = 6


@pytest.fixture(scope="module")
def opened(small_run: Run) -> Opened:
    return Opened(small_run)


@pytest.fixture(scope="module")
def histories(small_run: Run) -> list[Any]:
    return [np.zeros(0, np.int32), *Corpus.open(small_run.artifact("corpus")).split("valid").histories]


def test_candidates_are_what_the_sources_propose_each_once(opened: Opened, histories: list[Any]) -> None:
    sources = opened.sources(beams=20)
    evidence = gather(sources, histories, K, histories)
    for row, history in enumerate(histories):
        proposed = [set(source.read([history]).best(K, [history])[0].tolist()) - {NO_ITEM} for source in sources]
        found = evidence.items_BM[row][evidence.live[row]].tolist()
        assert len(found) == len(set(found))
        assert set(found) == set().union(*proposed)
        assert not set(found) & set(history.tolist())
        for place, item in enumerate(evidence.items_BM[row].tolist()):
            said = [item in of_source for of_source in proposed]
            assert evidence.proposed_BMS[row, place].tolist() == (said if item != NO_ITEM else [False] * len(said))


def test_what_is_known_of_an_item_depends_on_nothing_else(opened: Opened, histories: list[Any]) -> None:
    sources = opened.sources(beams=20)
    whole = gather(sources, histories, K)
    assert whole.features_BMF.isfinite().all()
    for row, history in enumerate(histories):
        alone = gather(sources, [history], 2 * K, [history[:1]])
        places = {item: place for place, item in enumerate(alone.items_BM[0].tolist()) if item != NO_ITEM}
        shared = [(place, places[item]) for place, item in enumerate(whole.items_BM[row].tolist()) if item in places]
        assert shared
        for mine, other in shared:
            assert torch.allclose(whole.features_BMF[row, mine], alone.features_BMF[0, other], atol=1e-4)


def test_the_aligned_model_tells_what_of_a_score_is_from_which_codes(opened: Opened, histories: list[Any]) -> None:
    source, items_BM = opened.sources(beams=20)[0], torch.arange(40).expand(len(histories), -1)
    told_BMF = source.read(histories).features(items_BM)
    told = {name.removeprefix("generative."): told_BMF[..., place] for place, name in enumerate(source.features)}
    levels = opened.tokens.levels
    assert list(told) == ["score", "lift", "found", "whole", *(f"prefix_{level}" for level in range(1, levels))]
    model = opened.generative(20, "legal", "float32").model
    codes_NL = torch.from_numpy(opened.tokens.codes.astype(np.int64))[:40]
    _, first_BC = model.start(histories, 20, normalised=False)
    legal = torch.from_numpy(opened.tokens.codes.astype(np.int64))[:, 0].unique()
    wanted_BM = (first_BC - first_BC[:, legal].logsumexp(1, keepdim=True))[:, codes_NL[:, 0]]
    assert torch.allclose(told["prefix_1"], wanted_BM, atol=1e-4)
    for shorter, longer in ((level, level + 1) for level in range(1, levels - 1)):
        assert (told[f"prefix_{longer}"] <= told[f"prefix_{shorter}"] + 1e-4).all()
    assert (told["score"] - told["whole"] <= told[f"prefix_{levels - 1}"] + 1e-4).all()


def test_encoders_and_counters_tell_their_scores(opened: Opened, histories: list[Any]) -> None:
    counts_N, items_BM = opened.behaviour.counts, torch.arange(40).expand(len(histories), -1)
    encoder = next(iter(opened.behaviour.encoders.values()))
    told = EncoderSource(encoder, counts_N).read(histories).features(items_BM)
    scores_BN = encoder.scores(histories)
    assert torch.allclose(told[..., 0], scores_BN.log_softmax(1), atol=1e-5)
    assert torch.allclose(told[..., 1].mean(1), torch.zeros(len(histories)), atol=1e-4)
    counter: ItemToItem = opened.behaviour.item_to_item
    votes_BN, told = counter.scores(histories), CounterSource(counter, counts_N).read(histories).features(items_BM)
    assert torch.equal(told[..., 3], (votes_BN > 0).float())
    assert torch.equal(told[..., 0].sort(dim=1, stable=True).indices, votes_BN.sort(dim=1, stable=True).indices)
    last_BN = counter.scores([history[-1:] for history in histories])
    assert torch.equal(told[..., 2] > told[..., 2].amin(), last_BN > 0)


def test_the_model_tells_its_own_probability_of_any_item(opened: Opened, histories: list[Any]) -> None:
    """Narrow search or not: what a search over the whole catalogue says, and how much more than without history."""
    source, n_items = opened.sources(beams=5)[0], opened.corpus.n_items
    items_BM = torch.randint(n_items, (len(histories), 9), generator=torch.Generator().manual_seed(0))
    reading = source.read(histories)
    told, proposed = reading.features(items_BM), reading.best(5, None)
    whole = opened.generative(n_items, "legal", "float32").rank([*histories, np.zeros(0, np.int32)], n_items)
    scores = [dict(zip(*row, strict=True)) for row in zip(whole.items.tolist(), whole.scores.tolist(), strict=True)]
    for row, items in enumerate(items_BM.tolist()):
        assert told[row, :, 0].tolist() == pytest.approx([scores[row][item] for item in items], abs=1e-4)
        lift = [scores[row][item] - scores[-1][item] for item in items]
        assert told[row, :, 1].tolist() == pytest.approx(lift, abs=1e-4)
        assert told[row, :, 2].tolist() == [item in proposed[row] for item in items]


def test_facts_in_common_count_the_more_the_rarer() -> None:
    import pyarrow as pa

    items = pa.table(
        {
            "brand": ["a", "a", "b", None],
            "categories": [["all", "soap"], ["all", "brush"], ["all", "soap"], None],
        }
    )
    told = FactsSource(items).read([np.array([0], np.int32)]).features(torch.arange(4)[None])[0]
    assert told[:, 0].tolist() == pytest.approx([1, 1, 0, 0])
    assert told[2, 1] == pytest.approx(1)
    assert told[2, 1] > told[1, 1] > told[3, 1] == 0


def test_a_history_knows_its_length_and_its_items() -> None:
    told = HistorySource(4).read([np.array([2, 2, 1], np.int32), np.zeros(0, np.int32)])
    features = told.features(torch.arange(4).expand(2, -1))
    assert features[0, :, 1].tolist() == [0, 1, 1, 0]
    assert features[1].abs().max() == 0
    assert features[0, 0, 0] == pytest.approx(np.log(4))
    assert told.best(3, None).shape == (2, 0)


def planted(users: int, seed: int) -> Lesson:
    """Users take the candidate for which one feature is high, unless another is; a third says nothing."""
    generator = torch.Generator().manual_seed(seed)
    items_BM = torch.arange(12).expand(users, -1).clone()
    features_BMF = torch.randn(users, 12, 3, generator=generator)
    wanted_BM = 3 * features_BMF[..., 0] - 2 * features_BMF[..., 1]
    targets = wanted_BM.argmax(dim=1).numpy().astype(np.int32)
    proposed_BMS = torch.ones(users, 12, 2, dtype=torch.bool)
    evidence = Evidence(("one", "two"), ("one.up", "two.down", "two.noise"), items_BM, features_BMF, proposed_BMS)
    return Lesson(evidence, targets, [np.zeros(0, np.int32)] * users)


@pytest.mark.parametrize("hidden", [0, 8])
def test_a_blend_learns_what_decided(hidden: int) -> None:
    lesson, other = planted(600, 0), planted(200, 1)
    blend = fit_blend(lesson, hidden=hidden, epochs=20, seed=0)
    ranks = target_ranks(blend, other)
    assert (ranks == 0).mean() > 0.85
    weights = blend.linear.weight[0]
    assert weights[0] > 0 > weights[1]
    assert abs(weights[2]) < 0.2 * weights[0]
    again = fit_blend(lesson, hidden=hidden, epochs=20, seed=0)
    assert all(torch.equal(mine, same) for mine, same in zip(blend.parameters(), again.parameters(), strict=True))
    restored = Blend.of(blend.described())
    assert torch.equal(restored(other.evidence.features_BMF), blend(other.evidence.features_BMF))


def test_a_blend_is_fitted_for_lists_without_what_people_have() -> None:
    """What is left out of the ranking is told apart among all candidates, and no rival among the rest."""
    lesson = planted(400, 0)
    had = lesson.evidence.items_BM[:, :6].numpy().astype(np.int32)
    excluded = [np.setdiff1d(items, [target]) for items, target in zip(had, lesson.targets_U, strict=True)]
    blend = fit_blend(replace(lesson, excluded=excluded), hidden=0, epochs=5, seed=0)
    without = fit_blend(lesson, hidden=0, epochs=5, seed=0)
    assert not torch.equal(blend.linear.weight, without.linear.weight)
    barred_UM = replace(lesson, excluded=excluded).barred
    assert barred_UM.sum(dim=1).tolist() == [len(items) for items in excluded]


def test_a_target_that_is_no_candidate_is_no_hit_however_few_there_are() -> None:
    lesson = planted(4, 0)
    few = replace(lesson, evidence=lesson.evidence.of(torch.arange(4)), targets_U=np.full(4, 99, np.int32))
    blend = fit_blend(lesson, hidden=0, epochs=1, seed=0)
    assert (target_ranks(blend, few) >= 10).all()


def test_a_feature_that_hardly_varies_and_one_far_off_decide_nothing() -> None:
    lesson = planted(200, 0)
    constant = lesson.evidence.features_BMF.clone()
    constant[..., 2] = 1000 + 1e-4 * constant[..., 2]
    blend = fit_blend(
        replace(lesson, evidence=replace(lesson.evidence, features_BMF=constant)), hidden=8, epochs=5, seed=0
    )
    assert blend.deviation_F[2] == 1
    far, farther = constant.clone(), constant.clone()
    far[..., 0], farther[..., 0] = 1e9, 1e12
    assert torch.equal(blend(far), blend(farther))


def test_of_candidates_that_tie_half_are_above_and_the_odd_one_too() -> None:
    lesson = planted(3, 0)
    alike = replace(lesson.evidence, features_BMF=torch.zeros(3, 12, 3))
    blend = Blend(lesson.evidence.features, 0).eval()
    assert target_ranks(blend, replace(lesson, evidence=alike)).tolist() == [6, 6, 6]


def test_figures_are_of_users_that_were_not_fitted_on() -> None:
    lesson = planted(300, 0)
    shuffled = replace(lesson, targets_U=np.random.default_rng(0).permutation(lesson.targets_U))
    recall, ndcg = figures(held_out(lesson, hidden=8, epochs=10, seed=0))
    assert recall > 0.98
    assert ndcg > 0.9
    by_chance = np.mean([1 / np.log2(rank + 2) for rank in range(10)]) * 10 / 12
    assert figures(held_out(shuffled, hidden=8, epochs=10, seed=0))[1] == pytest.approx(by_chance, abs=0.06)


def test_without_a_source_its_features_and_its_own_candidates_are_gone() -> None:
    lesson = planted(3, 0)
    lesson.evidence.proposed_BMS[:, :4, 0] = False
    rest = lesson.without("two").evidence
    assert rest.features == ("one.up",)
    assert rest.sources == ("one",)
    assert (rest.items_BM[:, :4] == NO_ITEM).all()
    assert torch.equal(rest.items_BM[:, 4:], lesson.evidence.items_BM[:, 4:])
    assert torch.equal(rest.features_BMF[..., 0], lesson.evidence.features_BMF[..., 0])


def test_lessons_of_different_widths_are_joined() -> None:
    first, second = planted(5, 0), planted(4, 1)
    narrow = replace(
        second.evidence,
        items_BM=second.evidence.items_BM[:, :7],
        features_BMF=second.evidence.features_BMF[:, :7],
        proposed_BMS=second.evidence.proposed_BMS[:, :7],
    )
    both = joined([first, replace(second, evidence=narrow)])
    assert both.evidence.items_BM.shape == (9, 12)
    assert both.evidence.live.sum(dim=1).tolist() == [12] * 5 + [7] * 4
    blend = fit_blend(first, hidden=0, epochs=1, seed=0)
    assert np.array_equal(target_ranks(blend, both)[:5], target_ranks(blend, first))
    assert (target_ranks(blend, both)[5:][second.targets_U >= 7] == 12).all()


def test_excluded_items_take_no_place() -> None:
    lesson = planted(50, 0)
    blend = fit_blend(lesson, hidden=0, epochs=3, seed=0)
    ranks = target_ranks(blend, lesson)
    best = blend(lesson.evidence.features_BMF).argmax(dim=1).numpy().astype(np.int32)
    without_best = target_ranks(blend, replace(lesson, excluded=[np.array([item]) for item in best]))
    hit = best == lesson.targets_U
    assert hit.any()
    assert (without_best[hit] == 12).all()
    assert np.array_equal(without_best[~hit], ranks[~hit] - 1)


def test_a_blend_of_other_evidence_is_refused(small_run: Run, opened: Opened) -> None:
    blends, sources = Convergence.open(small_run.artifact("blend")), opened.sources(beams=20)
    assert read_blend(blends, "converged", sources).features[0] == "generative.score"
    with pytest.raises(ArtifactError, match=r"other evidence.*text_neighbours\.last") as caught:
        read_blend(blends, "converged", [source for source in sources if source_name(source) != "text_neighbours"])
    assert "converge" in caught.value.remedy


def test_a_remembered_reading_is_of_the_same_histories_only(opened: Opened, histories: list[Any]) -> None:
    """Rankings that take turns look once; an equal history in another array is looked at anew."""
    source = Remembered(opened.sources(beams=20)[0])
    first = source.read(histories)
    assert source.read(list(histories)) is first
    assert source.read(histories[:-1]) is not first
    again = source.read([history.copy() for history in histories])
    assert again is not first
    assert np.array_equal(again.best(K, histories), first.best(K, histories))

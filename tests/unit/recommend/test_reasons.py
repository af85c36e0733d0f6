"""Contributions are what scoring again without the evidence says, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
import torch
from small_run import LEVELS, N_ITEMS

from pipelines import why
from semconv.artifacts import Convergence, Corpus, Run
from semconv.artifacts.ragged import Int32
from semconv.config import RecommendSettings
from semconv.errors import SettingError
from semconv.recommend.blend import Blend, read_blend
from semconv.recommend.converged import ConvergedRanker
from semconv.recommend.evidence import Source, source_name, source_of
from semconv.recommend.load import Opened, open_recommender
from semconv.recommend.plain_sources import PopularitySource
from semconv.recommend.random_ranker import RandomRanker
from semconv.recommend.ranker import NO_ITEM, Ranker
from semconv.recommend.reasons import Reason, SharedPrefix, reasons, shared_prefix
from semconv.recommend.rules import Ruled, Rules
from semconv.recommend.score_sources import EncoderSource
from semconv.recommend.steered import SteeredRanker
from semconv.recommend.wish import FEATURES, WishSource
from semconv.tokens.categories import NO_KIND

HISTORY = np.array([3, 17, 8, 3, 25, 30, 1], np.int32)
EVERYTHING = np.arange(N_ITEMS, dtype=np.int32)
NOISE = 1e-4


@pytest.fixture(scope="module")
def opened(small_run: Run) -> Opened:
    return Opened(small_run)


@pytest.fixture
def converged(small_run: Run, opened: Opened) -> ConvergedRanker:
    """The blend of all sources with random weights, every item of the catalogue a candidate."""
    sources = opened.sources(beams=20)
    blend = read_blend(Convergence.open(small_run.artifact("blend")), "converged", sources)
    torch.manual_seed(0)
    for weights in blend.parameters():
        weights.copy_(torch.randn(weights.shape) / 3)
    return ConvergedRanker("converged", sources, blend, opened.behaviour.counts, N_ITEMS)


def log_probabilities(ranker: Ranker, history: Int32) -> torch.Tensor:
    """Of all items, by a ranking of them; its scores are log-probabilities but for a constant of the history."""
    ranking = ranker.rank([history], N_ITEMS)
    scores_N = torch.from_numpy(ranking.scores[0][np.argsort(ranking.items[0])])
    return scores_N.log_softmax(0)


def by_history(reason: Reason) -> dict[int, float]:
    return {one.item: one.contribution for one in reason.history}


@pytest.mark.parametrize("system", ["converged", "generative"])
def test_an_item_of_the_history_contributes_what_ranking_without_it_lacks(
    system: str, opened: Opened, converged: ConvergedRanker
) -> None:
    ranker = converged if system == "converged" else opened.generative(N_ITEMS, "legal", "float32")
    found = reasons(ranker, opened.tokens.codes, HISTORY, EVERYTHING, N_ITEMS)
    assert [reason.item for reason in found] == EVERYTHING.tolist()
    moved = 0.0
    for item in set(HISTORY.tolist()):
        fall_N = log_probabilities(ranker, HISTORY) - log_probabilities(ranker, HISTORY[np.not_equal(HISTORY, item)])
        moved += float(fall_N.abs().sum())
        assert [by_history(reason)[item] for reason in found] == pytest.approx(fall_N.tolist(), abs=NOISE)
    assert moved > 1
    for reason in found:
        for told in (reason.history, reason.sources):
            assert list(told) == sorted(told, key=lambda one: -one.contribution)
    assert all(bool(reason.sources) == (system == "converged") for reason in found)
    json.dumps(asdict(found[0]))


def test_a_source_contributes_what_muting_it_lacks(opened: Opened, converged: ConvergedRanker) -> None:
    found = reasons(converged, opened.tokens.codes, HISTORY, EVERYTHING, N_ITEMS)
    items_1N = torch.arange(N_ITEMS)[None]
    told = {source_name(source): source.read([HISTORY]).features(items_1N) for source in converged.sources}
    whole_N = converged.blend(torch.cat([*told.values()], dim=2))[0].log_softmax(0)
    for muted in told:
        means = {name: known.mean(1, keepdim=True).expand_as(known) for name, known in told.items() if name == muted}
        fall_N = whole_N - converged.blend(torch.cat([*(told | means).values()], dim=2))[0].log_softmax(0)
        for reason in found:
            contribution = next(one.contribution for one in reason.sources if one.source == muted)
            assert contribution == pytest.approx(float(fall_N[reason.item]), abs=NOISE)


def test_a_source_without_weight_contributes_nothing(opened: Opened, converged: ConvergedRanker) -> None:
    blend = converged.blend
    assert isinstance(blend.network, torch.nn.Sequential)
    first = blend.network[0]
    assert isinstance(first, torch.nn.Linear)
    columns = [place for place, name in enumerate(blend.features) if source_of(name) == "sasrec"]
    for weights in (blend.linear.weight, first.weight):
        weights[:, columns] = 0.0
    for reason in reasons(converged, opened.tokens.codes, HISTORY, EVERYTHING, N_ITEMS):
        told = {one.source: abs(one.contribution) for one in reason.sources}
        assert told.pop("sasrec") < 1e-5
        assert max(told.values()) > 0.01


def test_what_no_source_looks_at_contributes_nothing(opened: Opened) -> None:
    """This encoder sees the last six items of a history, and popularity none."""
    counts_N, encoder = opened.behaviour.counts, opened.behaviour.encoders["sasrec"]
    sources: list[Source] = [EncoderSource(encoder, counts_N), PopularitySource(counts_N)]
    blend = Blend([name for source in sources for name in source.features], hidden=0).requires_grad_(False)
    blend.linear.weight.fill_(1.0)
    ranker = ConvergedRanker("two", sources, blend, counts_N, 10)
    history = np.arange(9, dtype=np.int32)
    best = ranker.rank([history], 5).items[0]
    for reason in reasons(ranker, opened.tokens.codes, history, best, 5):
        told = by_history(reason)
        assert [abs(told[item]) < 1e-5 for item in range(9)] == [True] * 3 + [False] * 6


def test_scores_are_those_of_the_ranking_whatever_was_excluded(opened: Opened, converged: ConvergedRanker) -> None:
    narrow = ConvergedRanker("narrow", converged.sources, converged.blend, opened.behaviour.counts, 6)
    for ranker in (narrow, opened.generative(20, "legal", "float32")):
        ranking = ranker.rank([HISTORY], 7, exclude=[HISTORY])
        asked = np.append(ranking.items[0], np.int32(NO_ITEM))
        found = reasons(ranker, opened.tokens.codes, HISTORY, asked, 7, exclude=HISTORY, last=2)
        assert [reason.item for reason in found] == ranking.items[0].tolist()
        assert [reason.score for reason in found] == pytest.approx(ranking.scores[0].tolist(), abs=NOISE)
        assert all(set(by_history(reason)) == {1, 30} for reason in found)


def letters(texts: Sequence[str]) -> torch.Tensor:
    """Vectors of the width of the catalogue's, by the letters of a text."""
    return torch.stack([torch.bincount(torch.tensor([*text.encode()]) % 6, minlength=6).float() for text in texts])


@pytest.mark.parametrize("blocked", [[], [22, 5]])
def test_a_wish_is_evidence_like_any_other(blocked: list[int], opened: Opened, converged: ConvergedRanker) -> None:
    counts_N, weights = opened.behaviour.counts, converged.blend.linear.weight[0]
    wishes = WishSource(opened.corpus.items, opened.vectors.text, counts_N, letters)
    blend = Blend([*converged.blend.features, *FEATURES], hidden=0).requires_grad_(False)
    blend.linear.weight[0] = torch.cat([weights, torch.tensor([5.0, 0.0, 0.0, 0.0, 0.0])])
    rules = Rules(np.asarray(blocked, np.int32), np.full(N_ITEMS, NO_KIND, np.int64), 0)
    steered = SteeredRanker("steered", converged, wishes, blend, counts_N, lambda ranker: rules.over(ranker, 10))
    ranking = steered.rank([HISTORY], 5, wishes=["thing 22"], exclude=[HISTORY])
    asked = {"codes_NL": opened.tokens.codes, "history": HISTORY, "items": ranking.items[0], "k": 5}
    found = reasons(steered, wish="thing 22", exclude=HISTORY, **asked)
    assert [reason.score for reason in found] == pytest.approx(ranking.scores[0].tolist(), abs=NOISE)
    matched = [reason for reason in found if reason.wish is not None and reason.wish["words"] == 1]
    assert [reason.item for reason in matched] == ([] if blocked else [22])
    for reason in matched:
        assert next(one.contribution for one in reason.sources if one.source == "wish") > 0.1
    without = reasons(steered, wish=" ", exclude=HISTORY, **asked)
    assert without == reasons(converged, exclude=np.append(np.asarray(blocked, np.int32), HISTORY), **asked)
    assert all(reason.wish is None for reason in without)
    with pytest.raises(SettingError, match="converged takes no wishes"):
        reasons(converged, wish="thing 22", **asked)


def test_rules_act_as_exclusions_do(opened: Opened, converged: ConvergedRanker) -> None:
    best = converged.rank([HISTORY], 3, exclude=[HISTORY]).items[0]
    ruled = Ruled(converged, Rules(best, np.full(N_ITEMS, NO_KIND, np.int64), 0), 10)
    listed = ruled.rank([HISTORY], 5, exclude=[HISTORY]).items[0]
    assert not set(best) & set(listed)
    found = reasons(ruled, opened.tokens.codes, HISTORY, listed, 5, exclude=HISTORY)
    barred = np.concatenate([best, HISTORY])
    assert found == reasons(converged, opened.tokens.codes, HISTORY, listed, 5, exclude=barred)


def test_no_history_and_no_items_have_no_reasons(opened: Opened, converged: ConvergedRanker) -> None:
    nobody = np.zeros(0, np.int32)
    assert reasons(converged, opened.tokens.codes, HISTORY, nobody, 5) == []
    (found,) = reasons(converged, opened.tokens.codes, nobody, EVERYTHING[:1], 5)
    assert found.sources
    assert not found.history
    assert found.prefix is None


def test_a_system_that_gives_no_reasons_says_so(opened: Opened) -> None:
    with pytest.raises(SettingError, match=r"random gives no reasons.*recommend\.system"):
        reasons(RandomRanker(N_ITEMS, 0), opened.tokens.codes, HISTORY, EVERYTHING, 5)


def test_the_longest_prefix_is_shared_with_the_latest_item_that_has_it() -> None:
    rng = np.random.default_rng(0)
    codes_NL = rng.integers(0, 2, (12, 4)).astype(np.int32)
    for _ in range(60):
        history, item = rng.integers(0, 12, rng.integers(0, 6)).astype(np.int32), int(rng.integers(0, 12))
        expected = None
        for length in range(1, 5):
            for had in history.tolist():
                if had != item and codes_NL[had, :length].tolist() == codes_NL[item, :length].tolist():
                    expected = SharedPrefix(tuple(codes_NL[item, :length].tolist()), had)
        assert shared_prefix(codes_NL, item, history) == expected


def ask(run: Run, *options: str) -> int:
    name = ["--run.root", str(run.path.parent), "--run.name", run.path.name]
    size = ["--recommend.beams", "50", "--recommend.candidates", "50", "--precache.k", "8"]
    with pytest.raises(SystemExit) as exit_:
        why.main([*name, *size, *options])
    return int(exit_.value.code or 0)


@pytest.mark.parametrize("seen", [True, False])
def test_the_command_explains_the_list_of_the_snapshot(
    seen: bool, small_run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus = Corpus.open(small_run.artifact("corpus"))
    assert ask(small_run, "--user", "u3", "--k", "4", "--json", *([] if seen else ["--no-precache.filter_seen"])) == 0
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    ranker = open_recommender(small_run, RecommendSettings(beams=50, candidates=50))
    ranking = ranker.rank([corpus.sequences[3]], 8, exclude=[corpus.sequences[3]] if seen else None)
    assert [item["item_id"] for item in told["items"]] == [f"i{item}" for item in ranking.items[0, :4]]
    assert [item["score"] for item in told["items"]] == pytest.approx(ranking.scores[0, :4].tolist(), abs=NOISE)
    assert [had["item_id"] for had in told["history"]] == [f"i{item}" for item in corpus.sequences[3]]
    assert all(item["title"] == f"thing {item['item_id'][1:]}" for item in told["items"])
    lines = why.text(told).splitlines()
    best = told["items"][0]
    assert any(best["title"] in line for line in lines)
    assert any(best["sources"][0]["source"] in line for line in lines)
    shared = [item["prefix"] for item in told["items"] if item["prefix"]]
    assert sum(f"of {LEVELS} (" in line for line in lines) == len(shared)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--user", "nobody"], "has no user 'nobody'. Give an id as the interactions spell it, such as 'u0'"),
        (["--user", "u1", "--k", "9"], "--k 9 is outside the list of 8 items"),
        (["--user", "u1", "--k", "0"], "--k 0 is outside"),
        (["--user", "u1", "--last", "0"], "--last 0 leaves no history"),
        (["--user", "u1", "--recomend.beams", "2"], "nearest known setting is 'recommend.beams'"),
    ],
)
def test_what_the_command_cannot_answer_is_said_in_one_message(
    options: list[str], message: str, small_run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(small_run, *options) == 2
    assert message in capsys.readouterr().err

"""Wishes steer: what is known of them is what a slow look finds, and without one nothing changes."""

from __future__ import annotations

import json
import math
import shutil
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from torch.nn import functional as F

from semconv.alignment.phrases import words_of
from semconv.artifacts import Corpus, ItemVectors, Run, finish, staging
from semconv.artifacts.blend import FILE
from semconv.artifacts.corpus import ITEMS
from semconv.config import ConvergeSettings, RecommendSettings
from semconv.errors import ArtifactError
from semconv.recommend.blend import Blend
from semconv.recommend.blend_fitting import Lesson, fit_blend, target_ranks
from semconv.recommend.converged import ConvergedRanker
from semconv.recommend.convergence import STEERED, steer
from semconv.recommend.evidence import gather
from semconv.recommend.load import Opened, open_recommender, open_steered
from semconv.recommend.plain_sources import HistorySource, PopularitySource
from semconv.recommend.ranker import NO_ITEM
from semconv.recommend.rules import Rules
from semconv.recommend.score_sources import EncoderSource
from semconv.recommend.steered import SteeredRanker, steered_sources
from semconv.recommend.wish import FEATURES, WishSource, open_encoder
from semconv.recommend.wish_index import WishIndex
from semconv.recommend.wish_simulation import KINDS, WishSimulation
from semconv.tokens.categories import NO_KIND

BRANDS = ("Glow & Co.", "OPI", "Nature Ideas", None)
KINDS_OF_THING = ("shampoo", "soap", "nail polish", "hair brush", "day cream")
COLOURS = ("red", "green", "ivory", "amber", "teal", "violet")
CANDIDATES, WIDTH = 8, 24


def encode(texts: Sequence[str]) -> torch.Tensor:
    """Words hashed to directions: a text encoder that needs no weights."""
    vectors = torch.zeros(len(texts), WIDTH)
    for row, text in enumerate(texts):
        for word in words_of(text):
            generator = torch.Generator().manual_seed(zlib.crc32(word.encode()))
            vectors[row] += torch.randn(WIDTH, generator=generator)
    return vectors


def catalogue() -> pa.Table:
    """40 things whose kind is a category, the last without a word."""
    rows: list[dict[str, Any]] = []
    for item in range(39):
        thing, colour, brand = KINDS_OF_THING[item % 5], COLOURS[item % 6], BRANDS[item % 4]
        rows.append({"title": f"{colour} {thing} no{item}", "brand": brand, "categories": ["All", thing.title()]})
    rows.append({"title": None, "brand": " ", "categories": None})
    return pa.Table.from_pylist([{"item_id": f"i{item}", **row} for item, row in enumerate(rows)], schema=ITEMS)


@pytest.fixture(scope="module")
def items() -> pa.Table:
    return catalogue()


@pytest.fixture(scope="module")
def said(items: pa.Table) -> list[str]:
    columns = [items[name].to_pylist() for name in ("title", "brand", "categories")]
    return [" ".join([title or "", brand or "", *(names or [])]) for title, brand, names in zip(*columns, strict=True)]


@pytest.fixture(scope="module")
def wishes(items: pa.Table, said: list[str]) -> WishSource:
    return WishSource(items, encode(said), torch.arange(40), encode)


WISHES = [
    "red shampoo",
    "OPI",
    "nail polish",
    "something by glow & co for my hair",
    "no12 teal",
    "zzyzx shampoo",
    "zzyzx",
]


def test_what_is_known_of_a_wish_is_what_a_slow_look_finds(
    items: pa.Table, said: list[str], wishes: WishSource
) -> None:
    words_N = [set(words_of(text)) for text in said]
    having = Counter(word for words in words_N for word in words)
    everything = torch.arange(40).expand(len(WISHES), -1)
    features = wishes.about(WISHES).read([np.zeros(0, np.int32)] * len(WISHES)).features(everything)
    assert features.shape == (len(WISHES), 40, len(FEATURES))
    for told, wish in zip(features, WISHES, strict=True):
        weights = [sum(math.log(41 / (1 + having[w])) for w in words_of(wish) if w in words) for words in words_N]
        most = max(weights) or 1.0
        assert told[:, 0].tolist() == pytest.approx([weight / most for weight in weights], abs=1e-5)
        cosines = F.cosine_similarity(encode([wish]), encode(said), dim=1)
        assert torch.allclose(told[:, 3], cosines, atol=1e-5)
        assert torch.allclose(told[:, 4], (cosines - cosines.mean()) / cosines.std(correction=0), atol=1e-4)
    brands = items["brand"].to_pylist()
    for row, brand, share in ((1, "OPI", 1.0), (3, "Glow & Co.", 2 / 7)):
        assert features[row, :, 1].tolist() == pytest.approx([share if has == brand else 0.0 for has in brands])
    polish = [1.0 if "Nail Polish" in (names or []) else 0.0 for names in items["categories"].to_pylist()]
    assert features[2, :, 2].tolist() == polish
    assert features[[0, 2, 4, 6], :, 1].abs().max() == 0


def test_words_that_nobody_knows_change_nothing_of_what_the_others_say(items: pa.Table) -> None:
    index = WishIndex(items)
    assert np.array_equal(index.words("zzyzx shampoo"), index.words("shampoo"))
    assert not index.words("zzyzx").any()
    assert np.array_equal(index.categories("NAIL-polish!"), index.categories("nail polish"))


def test_what_answers_a_wish(items: pa.Table, wishes: WishSource) -> None:
    answers = wishes.about(["nail polish", "zzyzx"]).answers(3)
    polish = torch.tensor(["Nail Polish" in (names or []) for names in items["categories"].to_pylist()])
    assert (answers[0] & polish).sum() == polish.sum() > 3  # all that match as well as the third
    assert answers[0].sum() <= polish.sum() + 3
    assert answers[1].sum() == 3
    assert wishes.about(["shampoo"]).answers(99).all()  # by meaning, all are among the 99 nearest


@pytest.fixture(scope="module")
def histories() -> list[Any]:
    random = np.random.default_rng(0)
    return [np.zeros(0, np.int32), *(random.integers(0, 40, 4).astype(np.int32) for _ in range(5))]


class Taste:
    """Scores by the last item alone: the next ones are liked best."""

    name = "taste"

    def scores(self, histories: Sequence[Any]) -> torch.Tensor:
        lasts = [int(history[-1]) if len(history) else 0 for history in histories]
        return torch.stack([-((torch.arange(40) - last) % 40).float() for last in lasts])


@pytest.fixture(scope="module")
def steered(wishes: WishSource) -> SteeredRanker:
    counts_N = torch.arange(40)
    sources = [EncoderSource(Taste(), counts_N), PopularitySource(counts_N), HistorySource(40)]
    names = [name for source in sources for name in source.features]
    torch.manual_seed(0)
    plain, wishing = Blend(names, 0), Blend([*names, *FEATURES], 0)
    torch.nn.init.uniform_(plain.linear.weight, 0.0, 1.0)
    torch.nn.init.uniform_(wishing.linear.weight, 0.5, 1.0)
    return SteeredRanker(
        STEERED, ConvergedRanker("converged", sources, plain, counts_N, CANDIDATES), wishes, wishing, counts_N
    )


def test_candidates_are_those_of_the_history_and_those_that_answer(
    steered: SteeredRanker, wishes: WishSource, histories: list[Any]
) -> None:
    asked = WISHES[: len(histories)]
    sources = steered.converged.sources
    evidence = gather(steered_sources(sources, wishes, asked, CANDIDATES), histories, CANDIDATES, histories)
    answers = wishes.about(asked).answers(CANDIDATES)
    for row, history in enumerate(histories):
        found = set(evidence.items_BM[row][evidence.live[row]].tolist())
        usual = set(gather(sources, [history], CANDIDATES, [history]).items_BM[0].tolist())
        best = EncoderSource(Taste(), torch.arange(40)).read([history]).best(40, [history])[0].tolist()
        allowed = [item for item in best if item != NO_ITEM and answers[row, item]]
        assert found >= (usual - {NO_ITEM}) | set(allowed[:CANDIDATES])
        assert not found & set(history.tolist())


@pytest.mark.parametrize("empty", ["", "  ", "?!… & -"])
def test_without_a_wish_the_list_is_the_unsteered_one(steered: SteeredRanker, histories: list[Any], empty: str) -> None:
    usual = steered.unsteered.rank(histories, 10, exclude=histories)
    for found in (
        steered.rank(histories, 10, exclude=histories),
        steered.rank(histories, 10, wishes=[empty] * len(histories), exclude=histories),
    ):
        assert np.array_equal(found.items, usual.items)
        assert np.array_equal(found.scores, usual.scores)


def test_each_history_follows_its_own_wish(steered: SteeredRanker, histories: list[Any], items: pa.Table) -> None:
    asked = ["red shampoo", "", "OPI", "zzyzx", "...", "nail polish"]
    together = steered.rank(histories, 10, wishes=asked, exclude=histories)
    for row, (history, wish) in enumerate(zip(histories, asked, strict=True)):
        alone = steered.rank([history], 10, wishes=[wish], exclude=[history])
        assert together.items[row].tolist() == alone.items[0].tolist()
        np.testing.assert_allclose(together.scores[row], alone.scores[0], atol=1e-5)
        assert len(set(together.items[row].tolist()) - set(history.tolist()) - {NO_ITEM}) == 10
    assert together.items[0, 0] in np.flatnonzero(WishIndex(items).words("red shampoo") == 1)  # an empty history too
    one = steered.towards(["OPI"]).rank(histories, 10, exclude=histories)
    assert one.items[2].tolist() == together.items[2].tolist()
    with pytest.raises(ValueError, match="2 wishes for 6 histories"):
        steered.towards(["OPI", "soap"]).rank(histories, 10)
    assert steered.rank([], 3, wishes=[]).items.shape == (0, 3)


def test_a_shops_rules_hold_for_wishes_too(steered: SteeredRanker, histories: list[Any]) -> None:
    rules = Rules(np.array([1, 5], np.int32), np.full(40, NO_KIND, np.int64), 0)
    ruled = SteeredRanker(
        STEERED,
        steered.converged,
        steered.wishes,
        steered.blend,
        torch.arange(40),
        lambda ranker: rules.over(ranker, 8),
    )
    wishes = ["OPI", ""] * 3
    usual = steered.rank(histories, 10, wishes=wishes).items
    assert np.isin(usual[::2], rules.blocked).any()
    found = ruled.rank(histories, 8, wishes=wishes).items
    assert [list(row) for row in found] == [[item for item in row if item not in (1, 5)][:8] for row in usual]


def test_all_of_the_catalogue_is_ranked_where_it_is_asked_for(steered: SteeredRanker, histories: list[Any]) -> None:
    found = steered.rank(histories, 50, wishes=["soap"] * len(histories))
    assert all(sorted(row[:40].tolist()) == list(range(40)) for row in found.items)
    assert (found.items[:, 40:] == NO_ITEM).all()


def test_simulated_wishes_describe_the_item(items: pa.Table) -> None:
    simulation, random = WishSimulation(items), np.random.default_rng(0)
    assert simulation.kinds(0) == list(KINDS)
    assert simulation.kinds(3) == ["phrase", "category"]
    assert simulation.kinds(39) == []
    assert simulation.wish(1, "brand", random) == "OPI"
    assert simulation.wish(1, "category", random) == "Soap"
    assert set(simulation.wish(1, "phrase", random).split()) <= {"green", "soap", "no1"}
    targets = np.resize(np.arange(40), 4000)
    wishes = simulation.wishes(targets, seed=1)
    assert wishes == simulation.wishes(targets, seed=1) != simulation.wishes(targets, seed=2)
    assert {wish for wish, item in zip(wishes, targets, strict=True) if item == 39} == {""}
    of_all = [wish for wish, item in zip(wishes, targets, strict=True) if len(simulation.kinds(item)) == 3]
    brands, names = {brand for brand in BRANDS if brand}, {thing.title() for thing in KINDS_OF_THING}
    assert np.mean([wish in brands for wish in of_all]) == pytest.approx(1 / 3, abs=0.03)
    assert np.mean([wish in names for wish in of_all]) == pytest.approx(1 / 3, abs=0.03)


def lesson(simulation: WishSimulation, wishes: WishSource, users: int, seed: int) -> Lesson:
    """People who take, of what answers their wish, what their history likes best."""
    random = np.random.default_rng(seed)
    lasts = random.integers(0, 39, users)
    categories = [KINDS_OF_THING[thing].title() for thing in random.integers(0, 5, users)]
    steps = [[(last + step) % 40 for step in range(1, 40)] for last in lasts.tolist()]
    simulated = [{item for item in range(39) if name in simulation._categories.of(item)} for name in categories]
    targets = [next(item for item in order if item in among) for order, among in zip(steps, simulated, strict=True)]
    histories = [np.array([last], np.int32) for last in lasts]
    counts_N = torch.arange(40)
    sources = [EncoderSource(Taste(), counts_N), PopularitySource(counts_N)]
    evidence = gather(steered_sources(sources, wishes, categories, CANDIDATES), histories, CANDIDATES)
    return Lesson(evidence, np.array(targets, np.int32), histories)


def test_a_fitted_blend_follows_wish_and_history(items: pa.Table, wishes: WishSource) -> None:
    simulation = WishSimulation(items)
    taught, others = (lesson(simulation, wishes, users, seed) for users, seed in ((500, 0), (200, 1)))
    blend = fit_blend(taught, hidden=0, epochs=20, seed=0)
    weight = dict(zip(blend.features, blend.linear.weight[0].tolist(), strict=True))
    assert weight["wish.category"] > 0.5
    assert weight["taste.log_probability"] + weight["taste.standard_score"] > 0.5
    assert (target_ranks(blend, others) == 0).mean() > 0.9
    without = fit_blend(taught.without("wish"), hidden=0, epochs=20, seed=0)
    assert (target_ranks(without, others.without("wish")) == 0).mean() < 0.5
    found = steer(taught, ConvergeSettings(hidden=0, epochs=5), seed=0)
    assert found["validation"]["users"] == 500
    assert found["validation"]["steered"][0] > 0.9
    assert tuple(found["blend"]["features"]) == blend.features


@pytest.fixture
def copied(small_run: Run, tmp_path: Path) -> Run:
    shutil.copytree(small_run.path, tmp_path / "run")
    return Run(str(tmp_path), "run")


def rewritten(run: Run, kind: str, settings: Any, inputs: Any, change: Callable[[Path], None]) -> None:
    """The artifact again with other settings, its content as ``change`` leaves it."""
    old = run.artifact(kind)
    content = old.parent / f"old_{kind}"
    old.rename(content)
    (content / "manifest.json").unlink()
    with staging(old) as folder:
        shutil.copytree(content, folder, dirs_exist_ok=True)
        change(folder)
        finish(folder, kind, settings=settings, inputs=inputs, counts={}, request="r", seconds=0.0)


def test_a_run_without_wishes_says_what_to_do(small_run: Run) -> None:
    with pytest.raises(ArtifactError, match="no blend that takes wishes") as caught:
        open_steered(small_run, RecommendSettings())
    assert "converge.wish_users" in caught.value.remedy
    with pytest.raises(ArtifactError, match="which encoder made"):
        open_encoder(ItemVectors.open(small_run.artifact("vectors")))


class Narrow:
    """An encoder as wide as the small run's text vectors."""

    def __init__(self, model: str) -> None:
        assert model == "narrow"

    def encode(self, texts: Sequence[str]) -> torch.Tensor:
        return encode(texts)[:, :6]


def test_a_run_that_was_fitted_on_wishes_is_steered(copied: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("semconv.recommend.wish.TextEncoder", Narrow)
    corpus = Corpus.open(copied.artifact("corpus"))
    settings = {"embed": {"text_model": "narrow"}}
    rewritten(copied, "vectors", settings, {"corpus": corpus}, lambda _: None)
    opened, split = Opened(copied), corpus.split("valid")
    wished, histories = [f"thing {item}" for item in split.targets], list(split.histories)
    sources = steered_sources(opened.sources(beams=20), opened.wishes(), wished, 10)
    found = steer(Lesson(gather(sources, histories, 10), split.targets, histories), ConvergeSettings(epochs=2), seed=0)

    def add(folder: Path) -> None:
        content = json.loads((folder / FILE).read_text())
        content["blends"][STEERED] = found["blend"]
        (folder / FILE).write_text(json.dumps(content))

    rewritten(copied, "blend", {}, {"model": opened.recommender}, add)
    chosen = RecommendSettings(beams=20, candidates=10)
    steered = open_steered(copied, chosen)
    usual = open_recommender(copied, chosen).rank(histories, 10, exclude=histories)
    assert np.array_equal(steered.rank(histories, 10, exclude=histories).items, usual.items)
    answers = steered.rank(histories, 10, wishes=wished, exclude=histories).items
    assert not np.array_equal(answers, usual.items)
    hits, usual_hits = ((lists == split.targets[:, None]).any(axis=1).sum() for lists in (answers, usual.items))
    assert hits > usual_hits


def test_an_encoder_that_has_changed_is_refused(copied: Run, tmp_path: Path) -> None:
    model = tmp_path / "encoder"
    model.mkdir()
    settings, corpus = {"embed": {"text_model": str(model)}}, Corpus.open(copied.artifact("corpus"))
    rewritten(copied, "vectors", settings, {"corpus": corpus, "text_model": "other"}, lambda _: None)
    with pytest.raises(ArtifactError, match="is not the one that made"):
        open_encoder(ItemVectors.open(copied.artifact("vectors")))

"""Precache on a cluster: every user once, with the list that the ranker itself gives."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import ray.exceptions
from ray import cloudpickle

from pipelines.console import StageLine
from pipelines.explain import explain
from pipelines.precache import build
from pipelines.stage import Work
from semconv.artifacts import Corpus, Run, TopKSnapshot, finish, staging
from semconv.artifacts.corpus import ITEMS, SEQUENCES
from semconv.behaviour.item_to_item import ItemToItem
from semconv.behaviour.popularity import training_counts
from semconv.config import EvaluateSettings, PrecacheSettings, RecommendSettings, Settings
from semconv.errors import ArtifactError, ResourceError
from semconv.recommend.collaborative import CollaborativeRanker
from semconv.recommend.ranker import NO_ITEM, Ranker

N_ITEMS, USERS, K = 20, 53, 6
RECOMMEND = RecommendSettings(beams=8)


@pytest.fixture(scope="module", autouse=True)
def openers_reach_the_workers() -> Iterator[None]:
    """Workers cannot import a test module: what is defined here travels with the work."""
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    yield
    cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that holds a corpus whose users have from one to all but two of the items."""
    run = Run(str(tmp_path_factory.mktemp("precache")), "tiny")
    rng = np.random.default_rng(5)
    items = [{"item_id": f"i{item}", "title": f"Title {item}"} for item in range(N_ITEMS)]
    users = []
    for user in range(USERS):
        bought = rng.permutation(N_ITEMS)[: 1 + user % (N_ITEMS - 2)].tolist()
        ends = {"train_end": max(len(bought) - 2, 1), "valid_end": max(len(bought) - 1, 1)}
        users.append({"user_id": f"üser/{user}", "items": bought, "times": None, **ends})
    with staging(run.artifact("corpus")) as folder:
        for name, rows, schema in (("items", items, ITEMS), ("sequences", users, SEQUENCES)):
            (folder / name).mkdir()
            pq.write_table(pa.Table.from_pylist(rows, schema=schema), folder / name / "part-0.parquet")
        finish(folder, "corpus", settings={}, inputs={}, counts={}, request="asked", seconds=0)
    return run


def open_counter(run: Run, chosen: RecommendSettings) -> Ranker:
    """A ranker without a neural network, so that nothing but precache itself is looked at."""
    assert chosen == RECOMMEND
    corpus = Corpus.open(run.artifact("corpus"))
    training = corpus.training()
    return CollaborativeRanker(ItemToItem.fit(training, N_ITEMS), training_counts(training, N_ITEMS))


def open_nothing(run: Run, chosen: RecommendSettings) -> Ranker:
    raise ArtifactError("the model is not there", "Make it")


def precache(run: Run, target: Path, opener: object = open_counter, **chosen: object) -> TopKSnapshot:
    asked = PrecacheSettings.model_validate({"k": K, "shards": 3, "batch_size": 10, **chosen})
    settings = Settings(precache=asked, recommend=RECOMMEND, evaluate=EvaluateSettings(at=(K,)))
    with staging(target) as folder:
        work = Work(settings, run, "asked", StageLine("precache"), {"corpus": Corpus.open(run.artifact("corpus"))})
        work.folders["topk"] = folder
        build(work, opener)  # type: ignore[arg-type]  # openers of this test
        finish(
            folder,
            "topk",
            settings={"precache": asked.model_dump()},
            inputs=work.inputs,
            counts=work.counts["topk"],
            request="asked",
            seconds=0,
        )
    return TopKSnapshot.open(target)


@pytest.mark.parametrize("filter_seen", [True, False])
def test_every_user_has_the_rankers_own_list_after_all_they_have_done(
    run: Run, tmp_path: Path, filter_seen: bool
) -> None:
    snapshot = precache(run, tmp_path / "topk", filter_seen=filter_seen, workers=2)
    corpus = Corpus.open(run.artifact("corpus"))
    histories: Sequence[np.ndarray] = list(corpus.sequences)
    ranking = open_counter(run, RECOMMEND).rank(histories, K, exclude=histories if filter_seen else None)
    assert snapshot.n_users == snapshot.manifest.counts["users"] == USERS
    assert sorted(user for batch in snapshot.users() for user in batch["user_id"].to_pylist()) == sorted(
        corpus.user_ids
    )
    for user, user_id in enumerate(corpus.user_ids):
        found = snapshot.lookup(user_id)
        assert found is not None
        kept = ranking.items[user] != NO_ITEM
        np.testing.assert_array_equal(found[0], ranking.items[user][kept])
        np.testing.assert_array_equal(found[1], ranking.scores[user][kept])
        assert len(found[0]) == (min(K, N_ITEMS - len(histories[user])) if filter_seen else K)


def test_what_is_wrong_with_the_model_is_said_as_it_is_and_nothing_is_published(run: Run, tmp_path: Path) -> None:
    with pytest.raises(ray.exceptions.RayError) as caught:
        precache(run, tmp_path / "topk", open_nothing)
    assert str(explain(caught.value)) == "the model is not there. Make it."
    assert not (tmp_path / "topk").exists()


def test_a_pool_that_would_take_every_cpu_is_refused_rather_than_left_to_hang(run: Run, tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match=r"precache\.workers is 4 and the cluster has 4 CPUs"):
        precache(run, tmp_path / "topk", workers=4)

"""Precache on a cluster: every user once, with the list that the ranker itself gives, and all that a service needs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import precache_shop
import pyarrow as pa
import pytest
import ray.exceptions
from precache_shop import N_ITEMS, RECOMMEND, USERS, K, make_shop, open_counter, open_nothing, precache, user_ids_of
from ray import cloudpickle

from pipelines.explain import explain
from semconv.artifacts import Corpus, ItemTokens, Run, stamp_of
from semconv.corpus.later import EVENTS, write_later
from semconv.errors import ResourceError
from semconv.recommend.ranker import NO_ITEM


@pytest.fixture(scope="module", autouse=True)
def openers_reach_the_workers() -> Iterator[None]:
    """Workers cannot import a test module: what is defined here travels with the work."""
    cloudpickle.register_pickle_by_value(precache_shop)
    yield
    cloudpickle.unregister_pickle_by_value(precache_shop)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return make_shop(tmp_path_factory.mktemp("precache"))


@pytest.mark.parametrize(("filter_seen", "spare"), [(True, 0), (False, 2)])
def test_every_user_has_the_rankers_own_list_after_all_they_have_done(
    run: Run, tmp_path: Path, filter_seen: bool, spare: int
) -> None:
    snapshot = precache(run, tmp_path / "topk", filter_seen=filter_seen, spare=spare, workers=2, history=4)
    corpus = Corpus.open(run.artifact("corpus"))
    histories: Sequence[np.ndarray] = list(corpus.sequences)
    kept = K + spare
    ranking = open_counter(run, RECOMMEND).rank(histories, kept, exclude=histories if filter_seen else None)
    assert (snapshot.k, snapshot.kept) == (K, kept)
    assert snapshot.n_users == snapshot.manifest.counts["users"] == snapshot.manifest.counts["computed"] == USERS
    assert user_ids_of(snapshot) == sorted(corpus.user_ids)
    for user, user_id in enumerate(corpus.user_ids):
        found = snapshot.lookup(user_id)
        assert found is not None
        legal = ranking.items[user] != NO_ITEM
        np.testing.assert_array_equal(found.items, ranking.items[user][legal])
        np.testing.assert_array_equal(found.scores, ranking.scores[user][legal])
        assert len(found.items) == (min(kept, N_ITEMS - len(histories[user])) if filter_seen else kept)
        np.testing.assert_array_equal(found.history, histories[user][-4:])
        assert snapshot.stamp(user_id) == stamp_of(histories[user])


def test_a_long_history_is_in_the_snapshot_whole(run: Run, tmp_path: Path) -> None:
    """Or the service would recommend again what is no longer in it, once the user has done something more."""
    corpus, rng = Corpus.open(run.artifact("corpus")), np.random.default_rng(1)
    later = rng.integers(0, N_ITEMS, 1500).tolist()
    rows = [{"user_id": corpus.user_ids[0], "item_id": f"i{item}", "time": 0} for item in later]
    (tmp_path / "events").mkdir()
    write_later(tmp_path / "events", [pa.RecordBatch.from_pylist(rows, EVENTS)], store="ab" * 16, seq=1500)
    found = precache(run, tmp_path / "topk", events=str(tmp_path / "events")).lookup(corpus.user_ids[0])
    assert found is not None
    assert found.history.tolist() == [*corpus.sequences[0].tolist(), *later]
    assert not set(found.items.tolist()) & set(later)


def test_the_snapshot_says_of_items_what_a_service_needs(run: Run, tmp_path: Path) -> None:
    blocked = RECOMMEND.model_copy(update={"blocked": ("i3", "i7")})
    snapshot = precache(run, tmp_path / "topk", recommend=blocked, similar=5, metadata=("title",))
    corpus, tokens = Corpus.open(run.artifact("corpus")), ItemTokens.open(run.artifact("tokens"))
    assert snapshot.item(4) == ("i4", "Title 4", None, ())
    assert [snapshot.codes(item) for item in range(N_ITEMS)] == [tuple(row) for row in tokens.codes.tolist()]
    bought = np.bincount(corpus.sequences.values, minlength=N_ITEMS)
    assert snapshot.catalogue["popularity"].to_pylist() == bought.tolist()
    assert snapshot.blocked.tolist() == [3, 7]
    for item in range(N_ITEMS):
        neighbours = set(snapshot.similar(item)[0].tolist())
        assert len(neighbours) == 5
        assert not neighbours & {3, 7, item}
    assert not {3, 7} & {item for batch in snapshot.users() for row in batch["items"].to_pylist() for item in row}
    assert snapshot.events is None


def test_what_is_wrong_with_the_model_is_said_as_it_is_and_nothing_is_published(run: Run, tmp_path: Path) -> None:
    with pytest.raises(ray.exceptions.RayError) as caught:
        precache(run, tmp_path / "topk", open_nothing)
    assert str(explain(caught.value)) == "the model is not there. Make it."
    assert not (tmp_path / "topk").exists()


def test_a_pool_that_would_take_every_cpu_is_refused_rather_than_left_to_hang(run: Run, tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match=r"precache\.workers is 4 and the cluster has 4 CPUs"):
        precache(run, tmp_path / "topk", workers=4)


def test_a_pool_that_leaves_one_cpu_comes_to_an_end(run: Run, tmp_path: Path) -> None:
    assert precache(run, tmp_path / "topk", workers=3, batch_size=1).n_users == USERS

"""One definition of what is recommended: evaluation, precache and live service give the same list for a history."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress

import numpy as np
import pytest
from ray import serve
from ray.serve.config import ProxyLocation
from ray.serve.handle import DeploymentHandle

from pipelines.evaluate import RankUsers
from semconv.artifacts import Corpus, Run, TopKSnapshot
from semconv.config import Settings
from semconv.evaluation.rankings import column
from semconv.recommend.load import open_rankers
from semconv.recommend.ranker import NO_ITEM
from serve.args import Args
from serve.live import Live
from serve.questions import LiveAnswer, LiveError, LiveQuestion

PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def live(tiny_run: Run, tiny_settings: Settings) -> Iterator[DeploymentHandle]:
    """The live deployment of the tiny run, without HTTP."""
    assert tiny_run.path.exists()
    serve.start(proxy_location=ProxyLocation.Disabled)
    args = Args.of(tiny_settings)
    deployment = Live.options(user_config=args.variants.as_json()).bind(args.serve, args.threads, args.cache)
    yield serve.run(deployment, name="same_list", route_prefix=None)
    serve.shutdown()


@pytest.fixture(scope="module")
def corpus(tiny_run: Run) -> Corpus:
    return Corpus.open(tiny_run.artifact("corpus"))


@pytest.fixture(scope="module")
def snapshot(tiny_run: Run) -> TopKSnapshot:
    return TopKSnapshot.open(tiny_run.artifact("topk"))


def question(snapshot: TopKSnapshot, history: list[int], wish: str = "") -> LiveQuestion:
    return LiveQuestion(snapshot.fingerprint, tuple(history), snapshot.k, wish=wish, budget_s=PATIENCE_S)


def test_same_list_from_evaluation_precache_and_live_service(
    live: DeploymentHandle, tiny_run: Run, tiny_settings: Settings, corpus: Corpus, snapshot: TopKSnapshot
) -> None:
    split = corpus.split("test")
    rows = np.linspace(0, len(split.users) - 1, 7).astype(np.int64)
    settings = tiny_settings.model_copy(
        update={"evaluate": tiny_settings.evaluate.model_copy(update={"truncated_users": 0})}
    )
    evaluated = RankUsers(tiny_run, settings, open_rankers)({"id": rows})[column("converged", "filtered")]
    for row, ranked in zip(rows.tolist(), evaluated, strict=True):
        answer = live.rank.remote(question(snapshot, split.histories[row].tolist())).result()
        assert answer.items == ranked[ranked != NO_ITEM].tolist()[: snapshot.k]
    for user in split.users[rows].tolist():
        found = snapshot.lookup(corpus.user_ids[user])
        assert found is not None
        history = corpus.sequences[user].tolist()
        assert found.history.tolist() == history[-len(found.history) :]
        answer = live.rank.remote(question(snapshot, history)).result()
        assert answer.items == found.items[: snapshot.k].tolist()
        np.testing.assert_allclose(answer.scores, found.scores[: snapshot.k], atol=1e-4)


def test_reasons_are_given_for_the_same_scores(live: DeploymentHandle, corpus: Corpus, snapshot: TopKSnapshot) -> None:
    asked = question(snapshot, corpus.sequences[0].tolist())
    answer = live.rank.remote(asked).result()
    told = live.reasons.remote(asked, tuple(answer.items[:3])).result()
    assert [reason["item"] for reason in told] == answer.items[:3]
    np.testing.assert_allclose([reason["score"] for reason in told], answer.scores[:3], atol=1e-4)
    assert {one["item"] for one in told[0]["history"]} <= set(asked.history)


def test_a_wish_is_answered_once_its_reader_is_open_and_changes_nothing_for_others(
    live: DeploymentHandle, corpus: Corpus, snapshot: TopKSnapshot
) -> None:
    history = corpus.sequences[0].tolist()
    before: LiveAnswer = live.rank.remote(question(snapshot, history)).result()
    wished = question(snapshot, history, corpus.items["title"][0].as_py())
    until = time.monotonic() + PATIENCE_S
    with pytest.raises(LiveError, match="is being opened"):
        live.rank.remote(wished).result()
    steered: LiveAnswer | None = None
    while steered is None:
        assert time.monotonic() < until
        time.sleep(0.2)
        with suppress(LiveError):
            steered = live.rank.remote(wished).result()
    assert steered.items != before.items
    again: LiveAnswer = live.rank.remote(question(snapshot, history)).result()
    assert again.items == before.items

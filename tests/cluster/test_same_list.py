"""One definition of what is recommended: evaluation, precache and live service give the same list for a history."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from ray import serve
from ray.serve.config import ProxyLocation
from ray.serve.handle import DeploymentHandle

from pipelines.evaluate import RankUsers
from semconv.artifacts import Corpus, Run, TopKSnapshot
from semconv.config import Settings
from semconv.evaluation.rankings import column
from semconv.recommend.load import open_rankers, open_recommender
from semconv.recommend.ranker import NO_ITEM
from serve.args import Args
from serve.live import Live


@pytest.fixture(scope="module")
def live(tiny_run: Run, tiny_settings: Settings) -> Iterator[DeploymentHandle]:
    """The live deployment of the tiny run, without HTTP."""
    assert tiny_run.path.exists()
    serve.start(proxy_location=ProxyLocation.Disabled)
    yield serve.run(Live.bind(Args.of(tiny_settings), open_recommender), name="same_list", route_prefix=None)
    serve.shutdown()


def test_same_list_from_evaluation_precache_and_live_service(
    live: DeploymentHandle, tiny_run: Run, tiny_settings: Settings
) -> None:
    corpus = Corpus.open(tiny_run.artifact("corpus"))
    snapshot = TopKSnapshot.open(tiny_run.artifact("topk"))
    split = corpus.split("test")
    rows = np.linspace(0, len(split.users) - 1, 7).astype(np.int64)
    settings = tiny_settings.model_copy(
        update={"evaluate": tiny_settings.evaluate.model_copy(update={"truncated_users": 0})}
    )
    evaluated = RankUsers(tiny_run, settings, open_rankers)({"id": rows})[column("converged", "filtered")]
    for row, ranked in zip(rows.tolist(), evaluated, strict=True):
        answer = live.rank.remote(split.histories[row].tolist()).result()
        assert answer.items == ranked[ranked != NO_ITEM].tolist()[: snapshot.k]
    for user in split.users[rows].tolist():
        found = snapshot.lookup(corpus.user_ids[user])
        assert found is not None
        answer = live.rank.remote(corpus.sequences[user].tolist()).result()
        assert answer.items == found[0].tolist()
        np.testing.assert_allclose(answer.scores, found[1], atol=1e-4)

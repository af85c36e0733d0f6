"""The service over artifacts made by the real pipelines: who is answered from where, and what if something breaks."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import pytest
from ray import cloudpickle, serve

from semconv.artifacts import Corpus, Run, TopKSnapshot
from semconv.artifacts.ragged import Int32
from semconv.config import RecommendSettings, Settings
from semconv.recommend.load import open_recommender
from semconv.recommend.ranker import Ranker, Ranking
from serve.app import application
from serve.args import Args
from serve.ask import Questions, ask, show
from serve.start import free_port, service

REPOSITORY = Path(__file__).parents[2]


class Failing:
    """A real ranker that fails on every history longer than one item: the one it is warmed up with goes through."""

    def __init__(self, ranker: Ranker) -> None:
        self.name = ranker.name
        self._ranker = ranker

    def rank(self, histories: Sequence[Int32], k: int, *, exclude: Sequence[Int32] | None = None) -> Ranking:
        if any(len(history) > 1 for history in histories):
            raise RuntimeError("the model broke")
        return self._ranker.rank(histories, k, exclude=exclude)


def open_failing(run: Run, chosen: RecommendSettings) -> Ranker:
    return Failing(open_recommender(run, chosen))


def with_serve(settings: Settings, **changed: Any) -> Settings:
    """These settings with a longer deadline, as a busy test machine needs, and other changes to the service."""
    return settings.model_copy(
        update={"serve": settings.serve.model_copy(update={"port": 0, "live_deadline_s": 60.0, **changed})}
    )


@pytest.fixture(scope="module")
def corpus(tiny_run: Run) -> Corpus:
    return Corpus.open(tiny_run.artifact("corpus"))


@pytest.fixture(scope="module")
def snapshot(tiny_run: Run) -> TopKSnapshot:
    return TopKSnapshot.open(tiny_run.artifact("topk"))


@pytest.fixture(scope="module")
def url(tiny_run: Run, tiny_settings: Settings) -> Iterator[str]:
    """The service, and beside it under /broken the same one with a model that fails."""
    settings = with_serve(tiny_settings)
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    with service(settings) as url:
        serve.run(application(Args.of(settings), open_failing), name="broken", route_prefix="/broken")
        yield url
    cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


@pytest.fixture(scope="module")
def http(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, timeout=120) as client:
        yield client


def user_path(user_id: str) -> str:
    return f"/v1/users/{user_id}/recommendations"


def history_of(corpus: Corpus, user: int) -> list[str]:
    return [corpus.item_ids[item] for item in corpus.sequences[user]]


def item_ids(answer: dict[str, Any]) -> list[str]:
    return [item["item_id"] for item in answer["items"]]


def test_every_known_user_is_answered_with_their_own_list_from_the_cache(
    http: httpx.Client, corpus: Corpus, snapshot: TopKSnapshot
) -> None:
    for user_id in corpus.user_ids:
        answer = http.get(user_path(user_id), params={"k": snapshot.k}).json()
        found = snapshot.lookup(user_id)
        assert found is not None
        assert answer["source"] == "cache"
        assert item_ids(answer) == [corpus.item_ids[item] for item in found[0]]
        assert [item["title"] for item in answer["items"]] == [
            corpus.items["title"][int(item)].as_py() for item in found[0]
        ]


def test_cache_live_and_the_ranker_itself_give_one_list_for_one_history(
    http: httpx.Client, corpus: Corpus, snapshot: TopKSnapshot, tiny_run: Run, tiny_settings: Settings
) -> None:
    ranker = open_recommender(tiny_run, tiny_settings.recommend)
    for user in (0, 1, corpus.n_users // 2, corpus.n_users - 1):
        history = corpus.sequences[user]
        ranking = ranker.rank([history], snapshot.k, exclude=[history])
        expected = [corpus.item_ids[item] for item in ranking.items[0] if item >= 0]
        cached = http.get(user_path(corpus.user_ids[user]), params={"k": snapshot.k}).json()
        question = {"history": history_of(corpus, user), "k": snapshot.k}
        live = http.post("/v1/recommendations", json=question).json()
        assert (cached["source"], live["source"]) == ("cache", "live")
        assert item_ids(cached) == item_ids(live) == expected
        scores = [[item["score"] for item in answer["items"]] for answer in (cached, live)]
        np.testing.assert_allclose(scores[0], scores[1], atol=1e-4)
        assert cached["versions"] == live["versions"]


def test_a_history_with_unknown_items_is_answered_without_them(http: httpx.Client, corpus: Corpus) -> None:
    history = history_of(corpus, 3)
    plain = http.post("/v1/recommendations", json={"history": history}).json()
    dirty = http.post("/v1/recommendations", json={"history": ["no such item", *history, "ü"]}).json()
    assert (plain["ignored_items"], dirty["ignored_items"]) == (0, 2)
    assert item_ids(plain) == item_ids(dirty)
    assert not set(item_ids(plain)) & set(history)


def test_an_unknown_user_and_malformed_requests_are_problem_documents(http: httpx.Client, corpus: Corpus) -> None:
    known = user_path(corpus.user_ids[0])
    responses = {
        404: [http.get(user_path("nobody at all")), http.get("/v1/users"), http.get("/broken/nowhere")],
        405: [http.delete(known), http.get("/v1/recommendations")],
        400: [http.post("/v1/recommendations", content="{"), http.get(known, params={"limit": 3})],
        413: [http.post("/v1/recommendations", content=b" " * 2_000_000)],
        422: [
            http.get(known, params={"k": 10**6}),
            http.post("/v1/recommendations", json={"history": "i1"}),
            http.post("/v1/recommendations", json={"history": ["i1"] * 1001}),
        ],
    }
    for status, answers in responses.items():
        for response in answers:
            assert (response.status_code, response.json()["status"]) == (status, status)
            assert response.headers["content-type"] == "application/problem+json"


def test_when_the_live_model_fails_popular_items_answer_and_the_cache_still_does(
    http: httpx.Client, corpus: Corpus, snapshot: TopKSnapshot
) -> None:
    history = history_of(corpus, 0)
    response = http.post("/broken/v1/recommendations", json={"history": history, "k": 5})
    assert response.status_code == 200
    answer = response.json()
    popular = [corpus.item_ids[item] for item in snapshot.popular[0]]
    assert (answer["source"], answer["versions"]["model"]) == ("fallback", None)
    assert item_ids(answer) == [item for item in popular if item not in history][:5]
    assert http.get("/broken" + user_path(corpus.user_ids[0])).json()["source"] == "cache"


def test_the_service_says_what_it_serves_and_listens_on_loopback_only(
    http: httpx.Client, url: str, snapshot: TopKSnapshot
) -> None:
    assert http.get("/healthz").status_code == http.get("/readyz").status_code == 200
    status = http.get("/v1/status").json()
    assert status["versions"] == {"snapshot": snapshot.fingerprint, **snapshot.manifest.lineage}
    assert (status["users"], status["items"]) == (snapshot.n_users, snapshot.n_items)
    assert status["live"] == {"up": True, "model": snapshot.manifest.lineage["model"]}
    assert http.get("/openapi.json").json()["openapi"].startswith("3.")
    assert "/v1/recommendations" in http.get("/docs").text
    port = httpx.URL(url).port
    listening = {c.laddr.ip for c in psutil.net_connections("tcp") if c.status == "LISTEN" and c.laddr.port == port}
    assert listening == {"127.0.0.1"}


def test_asking_shows_both_answers_with_titles(url: str, tiny_settings: Settings, corpus: Corpus) -> None:
    questions = Questions.of(tiny_settings)
    cached, live = ask(url, questions)
    assert (cached["source"], live["source"]) == ("cache", "live")
    shown = show(questions, cached, live)
    for item in (*cached["items"], *live["items"]):
        assert (item["title"] or item["item_id"]) in shown


def command(module: str, settings: Settings, *more: str) -> list[str]:
    chosen = ["--config", str(REPOSITORY / "tests" / "tiny.yaml"), "--run.root", settings.run.root]
    return [sys.executable, "-m", module, *chosen, "--serve.live_deadline_s", "60", *more]


def finished(module: str, settings: Settings, *more: str) -> subprocess.CompletedProcess[str]:
    arguments = command(module, settings, *more)
    return subprocess.run(arguments, cwd=REPOSITORY, capture_output=True, text=True, timeout=300, check=False)


def test_the_command_serves_until_it_is_told_to_stop_and_leaves_no_process(
    tiny_run: Run, tiny_settings: Settings
) -> None:
    arguments = command("serve.run", tiny_settings, "--serve.port", str(free_port("127.0.0.1", 0)))
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(arguments, cwd=REPOSITORY, text=True, **pipes) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(6)]
        started = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert "Traceback" not in errors
    assert str(tiny_run.path) in lines[0]
    assert sum(line.strip().startswith("curl ") for line in lines) == 2
    assert started
    _, left = psutil.wait_procs(started, timeout=30)
    assert not left


def test_the_demo_ends_well_only_when_each_answer_came_from_where_it_should(
    tiny_run: Run, tiny_settings: Settings
) -> None:
    done = finished("serve.demo", tiny_settings, "--serve.port", "0")
    assert done.returncode == 0, done.stderr
    assert "source cache" in done.stdout
    assert "source live" in done.stdout
    assert str(tiny_run.artifact("report") / "index.html") in done.stdout
    late = finished("serve.demo", tiny_settings, "--serve.port", "0", "--serve.live_deadline_s", "1e-6")
    assert late.returncode == 2
    assert "from fallback, not from live" in late.stderr


def test_missing_artifacts_and_a_taken_port_are_one_clear_message(tiny_run: Run, tiny_settings: Settings) -> None:
    def complaint(*more: str) -> str:
        done = finished("serve.run", tiny_settings, *more)
        assert done.returncode == 2
        assert done.stdout == ""
        return done.stderr.strip().splitlines()[-1]

    assert "topk does not exist. Run the stage that makes it." in complaint("--run.name", "absent")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert f"127.0.0.1:{port} is in use" in complaint("--serve.port", str(port))

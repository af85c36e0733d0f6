"""Another shop's run, with a corpus, tokens and a model of its own, beside one that is served."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from semconv.artifacts import Recommender, Run, TopKSnapshot
from tests.conftest import REPOSITORY, run_module
from tests.e2e.history_load import HistoryLoad
from tests.e2e.load import Load
from tests.e2e.served import Service, served


@pytest.fixture(scope="module")
def other_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    root = tmp_path_factory.mktemp("other_runs")
    config = ["--config", REPOSITORY / "tests" / "tiny.yaml"]
    done = run_module("pipelines.run", *config, "--run.root", root, "--corpus.synthetic.brands", 7)
    assert done.returncode == 0, done.stderr
    return Run(str(root), "tiny")


@pytest.fixture(scope="module")
def snapshots(tiny_run: Run, other_run: Run) -> list[TopKSnapshot]:
    """Of the run that is served first, and of the other."""
    return [TopKSnapshot.open(run.artifact("topk")) for run in (tiny_run, other_run)]


@pytest.fixture(scope="module")
def service(tiny_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with served(tiny_run, tmp_path_factory.mktemp("drill") / "state") as started:
        yield started


@pytest.mark.timeout(1200)
def test_a_swap_to_another_model_and_back_loses_no_request_and_mixes_no_versions(
    service: Service, tiny_run: Run, other_run: Run, snapshots: list[TopKSnapshot], tmp_path: Path
) -> None:
    for kind in ("corpus", "tokens", Recommender.kind):
        assert len({snapshot.manifest.lineage[kind] for snapshot in snapshots}) == 2
    first, other = snapshots
    lists = Load(service.url, first, other)
    with lists, HistoryLoad(service.url, tmp_path, tiny_run, other_run) as ranked:
        for wanted, run in ((other, other_run), (first, tiny_run)):
            lists.reach(200)
            ranked.reach(20)
            done = service.command("serve.swap", "--run.root", run.path.parent)
            assert done.returncode == 0, done.stderr
            assert f"model {wanted.manifest.lineage[Recommender.kind][:12]}" in done.stdout
            before = lists.answers + ranked.answers
            lists.reach(200)
            ranked.reach(20)
            assert (lists.answers + ranked.answers - before).keys() == {wanted.fingerprint}
    print(f"{lists.answers.total()} lists, {ranked.answers.total()} ranked for a history")
    assert lists.failures == ranked.failures == []


def test_the_snapshot_of_another_corpus_is_refused_by_name(service: Service, snapshots: list[TopKSnapshot]) -> None:
    first, other = snapshots
    with Load(service.url, first) as load:
        done = service.command("serve.swap", "--serve.snapshot", other.path)
        load.reach(100)
    assert done.returncode == 2
    assert "(topk) were made from different" in done.stderr
    assert load.failures == []

"""Evaluation on a cluster: the same rankings as without one, a whole report, and errors that can be read."""

from __future__ import annotations

import numpy as np
import pytest
import ray

from pipelines.evaluate import rank_users, stage_seconds
from pipelines.explain import explain
from semconv.artifacts import Corpus, Recommender, Report, Run
from semconv.config import Settings
from semconv.errors import ArtifactError, ResourceError
from semconv.evaluation.metrics import hit_ranks
from semconv.evaluation.rankings import FILTERS, rank_block
from semconv.progress import silent
from semconv.recommend.load import open_rankers
from semconv.recommend.ranker import Ranker

SYSTEMS = {"random", "popularity", "item_to_item", "sasrec", "lightgcn", "generative_compact"}


def with_evaluate(settings: Settings, **changes: int) -> Settings:
    return settings.model_copy(update={"evaluate": settings.evaluate.model_copy(update=changes)})


def test_actors_rank_as_the_library_does(tiny_run: Run, tiny_settings: Settings) -> None:
    corpus = Corpus.open(tiny_run.artifact("corpus"))
    seen: list[tuple[float, float]] = []

    def report(done: float, total: float, note: str = "") -> None:
        seen.append((done, total))

    ranked = rank_users(tiny_run, with_evaluate(tiny_settings, batch_size=16, workers=2), corpus, report)
    histories = list(corpus.split("test").histories)
    alone = rank_block(open_rankers(tiny_run, tiny_settings), histories, max(tiny_settings.evaluate.at))
    assert set(ranked) == SYSTEMS
    for system in SYSTEMS:
        for kind in FILTERS:
            assert np.array_equal(ranked[system][kind], alone[f"{system}.{kind}"])
    assert len(seen) > 2
    assert seen[0] == (0, len(histories))
    assert seen[-1] == (len(histories), len(histories))


def test_the_report_of_a_run(tiny_run: Run, tiny_settings: Settings) -> None:
    report, corpus = Report.open(tiny_run.artifact("report")), Corpus.open(tiny_run.artifact("corpus"))
    split = corpus.split("test")
    assert set(report.metrics["systems"]) == SYSTEMS
    assert report.metrics["users"] == len(split.users) == report.manifest.counts["users"]
    stages = ["ingest", "embed", "base", "tokenize", "examples", "align", "evaluate"]
    assert list(report.metrics["stage_seconds"]) == stages
    assert min(report.metrics["stage_seconds"].values()) > 0
    rankers = open_rankers(tiny_run, tiny_settings)
    popular = rankers["popularity"].rank(list(split.histories), 20, exclude=list(split.histories)).items
    assert report.ranks["popularity.filtered"].to_numpy().tolist() == hit_ranks(popular, split.targets).tolist()
    html = report.page.read_text()
    assert "How the model learned" in html
    assert html.count('<article class="user">') == tiny_settings.evaluate.examples


def test_times_of_another_lineage_are_left_out(tiny_run: Run) -> None:
    model = Recommender.open(tiny_run.artifact("model"))
    assert "tokenize" in stage_seconds(tiny_run, [model])
    model.manifest.lineage["tokens"] = "another"
    assert set(stage_seconds(tiny_run, [model])) == {"ingest", "embed", "base"}


def test_what_is_wrong_with_a_system_can_be_read(tiny_run: Run, tiny_settings: Settings) -> None:
    def refuse(run: Run, settings: Settings) -> dict[str, Ranker]:
        raise ArtifactError("the model is torn", "Redo align")

    corpus = Corpus.open(tiny_run.artifact("corpus"))
    with pytest.raises(ray.exceptions.RayError) as raised:
        rank_users(tiny_run, tiny_settings, corpus, silent, refuse)
    assert str(explain(raised.value)) == "the model is torn. Redo align."


def test_more_workers_than_the_cluster_holds_are_refused(tiny_run: Run, tiny_settings: Settings) -> None:
    corpus = Corpus.open(tiny_run.artifact("corpus"))
    with pytest.raises(ResourceError, match=r"evaluate\.workers is 4 .* 4 CPUs"):
        rank_users(tiny_run, with_evaluate(tiny_settings, workers=4), corpus, silent)

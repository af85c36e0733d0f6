"""Evaluation on a cluster: the same rankings as without one, a whole report, and errors that can be read."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray

from pipelines.evaluate import STAGE, questions_of, rank_users, reseeded, stage_seconds
from pipelines.explain import explain
from pipelines.run import run
from pipelines.stage import run_stages
from semconv.artifacts import Convergence, Corpus, Manifest, Recommender, Report, Run
from semconv.behaviour.store import Behaviour, read_description
from semconv.config import Settings
from semconv.errors import ArtifactError, ResourceError
from semconv.evaluation.metrics import hit_ranks
from semconv.evaluation.new_items import NEW_ITEMS
from semconv.evaluation.rankings import FILTERS, rank_block
from semconv.evaluation.truncation import KEPT, TRUNCATED
from semconv.progress import silent
from semconv.recommend.load import open_rankers
from semconv.recommend.ranker import Ranker

COLLABORATIVE = {"popularity", "item_to_item", "item_to_item_tuned", "sasrec", "lightgcn"}
CONVERGED = {"converged", "converged_without_generative"}
SYSTEMS = {"random", "text_neighbours", "generative_compact"} | COLLABORATIVE | CONVERGED


def ranks_of_truncated(tiny_run: Run, settings: Settings, corpus: Corpus, keep: int) -> dict[str, list[int]]:
    """Hit ranks of the sampled users by their last ``keep`` events, asked of the systems themselves."""
    split = corpus.split("test")
    rows = questions_of(settings, corpus)[0].rows
    full = [split.histories[int(row)] for row in rows]
    short = [history[len(history) - keep :] for history in full]
    k = max(settings.evaluate.at)
    return {
        name: hit_ranks(ranker.rank(short, k, exclude=full).items, split.targets[rows]).tolist()
        for name, ranker in open_rankers(tiny_run, settings).items()
    }


def with_evaluate(settings: Settings, **changes: Any) -> Settings:
    return settings.model_copy(update={"evaluate": settings.evaluate.model_copy(update=changes)})


def test_actors_rank_as_the_library_does(tiny_run: Run, tiny_settings: Settings) -> None:
    corpus = Corpus.open(tiny_run.artifact("corpus"))
    settings = with_evaluate(tiny_settings, batch_size=16, workers=2, truncated_users=20)
    seen: list[tuple[float, float]] = []

    def report(done: float, total: float, note: str = "") -> None:
        seen.append((done, total))

    ranked = rank_users(tiny_run, settings, corpus, report)
    histories = list(corpus.split("test").histories)
    alone = rank_block(open_rankers(tiny_run, tiny_settings), histories, max(tiny_settings.evaluate.at))
    assert set(ranked.rankings) == SYSTEMS
    for system in SYSTEMS:
        for kind in FILTERS:
            assert np.array_equal(ranked.rankings[system][kind], alone[f"{system}.{kind}"])
    assert list(ranked.again) == [TRUNCATED, NEW_ITEMS]
    assert len(ranked.again[TRUNCATED].rows) == 20
    for keep in KEPT:
        found = {name: ranks.tolist() for name, ranks in ranked.again[TRUNCATED].by_variant[str(keep)].items()}
        assert found == ranks_of_truncated(tiny_run, settings, corpus, keep)
    assert len(seen) > 2
    assert seen[0] == (0, len(histories))
    assert seen[-1] == (len(histories), len(histories))


def test_the_report_of_a_run(tiny_run: Run, tiny_settings: Settings) -> None:
    report, corpus = Report.open(tiny_run.artifact("report")), Corpus.open(tiny_run.artifact("corpus"))
    split = corpus.split("test")
    assert set(report.metrics["systems"]) == SYSTEMS | {"generative"}
    assert report.metrics["users"] == len(split.users) == report.manifest.counts["users"]
    stages = ["ingest", "embed", "base", "tokenize", "examples", "align", "converge", "evaluate"]
    assert list(report.metrics["stage_seconds"]) == stages
    assert min(report.metrics["stage_seconds"].values()) > 0
    rankers = open_rankers(tiny_run, tiny_settings)
    depth = max(tiny_settings.evaluate.at)
    popular = rankers["popularity"].rank(list(split.histories), depth, exclude=list(split.histories)).items
    assert report.ranks["popularity.filtered"].to_numpy().tolist() == hit_ranks(popular, split.targets).tolist()
    sampled = {part["users"] for part in report.metrics["slices"]["truncated"].values()}
    assert sampled == {min(len(split.users), tiny_settings.evaluate.truncated_users)}
    assert "generative_compact_vs_best_baseline" in report.metrics["significance"]
    html = report.page.read_text()
    assert "How the models learned" in html
    assert "NDCG@10 of the behaviour encoders on validation" in html
    assert html.count('<article class="user">') == tiny_settings.evaluate.examples


def test_the_report_tells_of_other_seeds(tiny_run: Run, tiny_settings: Settings, tmp_path: Path) -> None:
    """Another run of the same job stands for what another seed gives."""
    settings = with_evaluate(tiny_settings, seeds=(99,), truncated_users=0, examples=0)
    settings = settings.model_copy(update={"run": settings.run.model_copy(update={"root": str(tmp_path)})})
    other = reseeded(settings, 99)
    assert (other.run.seed, other.run.until, other.evaluate.seeds) == (99, "evaluate", ())
    for name in (settings.run.name, other.run.name):
        shutil.copytree(tiny_run.path, tmp_path / name)
    shutil.rmtree(tmp_path / settings.run.name / "report")
    run_stages(settings, (STAGE,))
    told = Report.open(tmp_path / settings.run.name / "report").metrics["seeds"]
    assert told["seeds"] == [settings.run.seed, 99]
    assert set(told["systems"]) == SYSTEMS
    assert told["systems"]["popularity"]["filtered"]["recall@10"]["deviation"] == 0
    shutil.rmtree(tmp_path / other.run.name / "report")
    with pytest.raises(ArtifactError, match="seed-99/report does not exist"):
        run_stages(settings, (STAGE,))


def test_a_refit_is_the_job_again_with_the_choices_that_were_made(
    tiny_run: Run, tiny_settings: Settings, tmp_path: Path
) -> None:
    settings = with_evaluate(tiny_settings, refit=True, truncated_users=0, examples=0)
    place = {"root": str(tmp_path), "until": "evaluate"}
    settings = settings.model_copy(update={"run": settings.run.model_copy(update=place)})
    shutil.copytree(tiny_run.path, tmp_path / settings.run.name)
    run(settings)
    first, again = (Run(str(tmp_path), name) for name in (settings.run.name, f"{settings.run.name}-refit"))
    for kind in ("corpus", "behaviour", "tokens", "model", "blend"):
        assert Manifest.read(first.artifact(kind)) == Manifest.read(tiny_run.artifact(kind))
    assert not len(Corpus.open(again.artifact("corpus")).split("valid").users)
    chosen, fitted = (Behaviour.open(one.artifact("behaviour")) for one in (first, again))
    for name in chosen.encoders:
        kept, refitted = (read_description(one.path, name)["kept"] for one in (chosen, fitted))
        assert (refitted["epoch"], refitted["ndcg_at_10"]) == (kept["epoch"], None)
    assert chosen.item_to_item_tuned is not None
    assert fitted.item_to_item_tuned is not None
    assert fitted.item_to_item_tuned.counting == chosen.item_to_item_tuned.counting
    assert Convergence.open(again.artifact("blend")).blends == Convergence.open(first.artifact("blend")).blends
    told, report = Report.open(first.artifact("report")).metrics["refit"], Report.open(again.artifact("report"))
    assert set(told["systems"]) == SYSTEMS
    for name, by_filter in told["systems"].items():
        assert by_filter["filtered"]["recall@10"] == report.metrics["systems"][name]["filtered"]["metrics"]["recall@10"]


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

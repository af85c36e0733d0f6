"""The report: the contract's keys, and the same bytes every time."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path

import numpy as np
import pytest
from small_report import STEPS, SYSTEMS, about, codes, evaluate, slices_of, write
from small_shop import N_USERS

from semconv.artifacts import Corpus, Report, finish, staging
from semconv.errors import ArtifactError
from semconv.evaluation.aliases import aliases
from semconv.evaluation.metrics import hit_ranks
from semconv.evaluation.rankings import Rankings
from semconv.evaluation.refit import Refit
from semconv.evaluation.seeds import Seeds
from semconv.evaluation.tables import text_table
from semconv.evaluation.truncation import KEPT
from semconv.evaluation.write import write_report


def test_metrics_follow_the_contract(tmp_path: Path, corpus: Corpus, rankings: Rankings) -> None:
    report = write(tmp_path / "report", corpus, rankings)
    content = report.metrics
    parts = {"users", "seed", "fingerprint", "stage_seconds", "systems", "aliases", "significance", "slices"}
    assert set(content) == parts
    assert (content["users"], content["seed"], content["stage_seconds"]) == (N_USERS, 17, {"ingest": 2.5})
    assert content["fingerprint"] == about(corpus).fingerprint
    assert list(content["systems"]) == [*SYSTEMS, "generative"]
    for by_filter in content["systems"].values():
        assert set(by_filter) == {"filtered", "unfiltered"}
        for scores in by_filter.values():
            for k in (1, 5, 10):
                for metric in (f"recall@{k}", f"ndcg@{k}", f"mrr@{k}"):
                    low, high = scores["intervals"][metric]
                    assert 0 <= low <= scores["metrics"][metric] <= high <= 1
                assert 0 < scores["metrics"][f"coverage@{k}"] <= 1
                assert {f"gini@{k}", f"novelty@{k}"} <= scores["metrics"].keys()
            assert {"diversity@5", "diversity@10"} <= scores["metrics"].keys()


def test_other_seeds_are_told_beside_the_report(tmp_path: Path, corpus: Corpus, rankings: Rankings) -> None:
    content, result = write(tmp_path / "report", corpus, rankings).metrics, evaluate(corpus, rankings)
    better = json.loads(json.dumps(content))
    for by_filter in better["systems"].values():
        for scores in by_filter.values():
            scores["metrics"]["ndcg@10"] += 0.1
    seeds = Seeds.of(result, {18: better, 19: content})
    told = seeds.contract()
    assert told["seeds"] == [17, 18, 19]
    own = content["systems"]["sasrec"]["filtered"]["metrics"]["ndcg@10"]
    spread = told["systems"]["sasrec"]["filtered"]["ndcg@10"]
    assert spread["values"] == pytest.approx([own, own + 0.1, own])
    assert spread["mean"] == pytest.approx(own + 0.1 / 3)
    assert spread["deviation"] == pytest.approx(0.1 / 3**0.5)
    split = corpus.split("test")
    with staging(tmp_path / "told") as folder:
        slices, described = slices_of(corpus, result), about(corpus)
        write_report(folder, result, slices, described, split=split, examples=[], codes=codes(), seeds=seeds)
        finish(folder, "report", settings={}, inputs={}, counts={}, request="r", seconds=1.0)
    report = Report.open(tmp_path / "told")
    assert report.metrics["seeds"] == told
    for shown in (report.page, report.path / "report.md"):
        assert "Seeds 17, 18, 19, seen items removed" in shown.read_text()
        assert f"{own + 0.1 / 3:.4f} ± {0.1 / 3**0.5:.4f}" in shown.read_text()


def test_seeds_that_do_not_belong_together_are_refused(tmp_path: Path, corpus: Corpus, rankings: Rankings) -> None:
    content, result = write(tmp_path / "report", corpus, rankings).metrics, evaluate(corpus, rankings)
    with pytest.raises(ArtifactError, match="seed 18 asked 3 users"):
        Seeds.of(result, {18: content | {"users": 3}})
    fewer = {name: found for name, found in content["systems"].items() if name != "sasrec"}
    with pytest.raises(ArtifactError, match="seed 18 lacks sasrec"):
        Seeds.of(result, {18: content | {"systems": fewer}})


def test_what_a_refit_reaches_is_told_beside_the_report(tmp_path: Path, corpus: Corpus, rankings: Rankings) -> None:
    content, result = write(tmp_path / "report", corpus, rankings).metrics, evaluate(corpus, rankings)
    again = copy.deepcopy(content)
    again["systems"]["sasrec"]["filtered"]["metrics"]["ndcg@10"] = 0.4321
    refit = Refit.of(result, again)
    told = refit.contract()
    assert told["systems"]["sasrec"]["filtered"]["ndcg@10"] == 0.4321
    unchanged = content["systems"]["sasrec"]["unfiltered"]["metrics"]["ndcg@10"]
    assert told["systems"]["sasrec"]["unfiltered"]["ndcg@10"] == unchanged
    with staging(tmp_path / "told") as folder:
        slices, described, split = slices_of(corpus, result), about(corpus), corpus.split("test")
        write_report(folder, result, slices, described, split=split, examples=[], codes=codes(), refit=refit)
        finish(folder, "report", settings={}, inputs={}, counts={}, request="r", seconds=1.0)
    report = Report.open(tmp_path / "told")
    assert report.metrics["refit"] == told
    assert report.metrics["systems"] == content["systems"]
    for shown in (report.page, report.path / "report.md"):
        assert "Refitted, seen items removed" in shown.read_text()
        assert "0.4321" in shown.read_text()
    assert "Refitted" not in (tmp_path / "report" / "report.md").read_text()
    with pytest.raises(ArtifactError, match="refitted job asked 3 users"):
        Refit.of(result, content | {"users": 3})


def test_the_generative_model_goes_by_its_contract_name_too(tmp_path: Path, corpus: Corpus, rankings: Rankings) -> None:
    report = write(tmp_path / "report", corpus, rankings)
    content = report.metrics
    assert content["aliases"] == report.aliases == {"generative": "generative_compact"}
    assert content["systems"]["generative"] == content["systems"]["generative_compact"]
    assert "generative.filtered" not in report.ranks.column_names
    for shown in (report.page, report.path / "report.md"):
        assert not re.search(r">Generative<|`generative`", shown.read_text())


def test_only_the_aligned_model_has_another_name() -> None:
    assert aliases(["sasrec", "generative_tokens", "converged_without_generative"]) == {
        "generative": "generative_tokens"
    }
    assert aliases(["sasrec", "converged"]) == {}


def test_significance_follows_the_contract(tmp_path: Path, corpus: Corpus, rankings: Rankings) -> None:
    content = write(tmp_path / "report", corpus, rankings).metrics
    figures = {name: by["filtered"]["metrics"] for name, by in content["systems"].items()}
    baselines = [name for name in STEPS if not name.startswith(("converged", "generative"))]
    best = max(baselines, key=lambda name: figures[name]["ndcg@10"])
    others = [name for name in STEPS if name != best]
    names = {f"{name}_vs_best_baseline" for name in others} | {"converged_vs_converged_without_generative"}
    assert set(content["significance"]) == names | {"converged_vs_each_baseline"}
    each = content["significance"].pop("converged_vs_each_baseline")
    assert list(each) == baselines
    assert each[best] == content["significance"]["converged_vs_best_baseline"]["all"]
    for baseline, by_metric in each.items():
        assert list(by_metric) == ["ndcg@10", "recall@10"]
        for metric, one in by_metric.items():
            assert one["difference"] == pytest.approx(figures["converged"][metric] - figures[baseline][metric])
            assert one["low"] <= one["difference"] <= one["high"]
            assert 0 < one["p"] <= 1
    for name, found in content["significance"].items():
        against = "converged_without_generative" if name.endswith("_generative") else best
        assert (found["metric"], found["baseline"]) == ("ndcg@10", against)
        assert {key: found[key] for key in ("difference", "low", "high", "p")} == found["all"]["ndcg@10"]
        system = name.partition("_vs_")[0]
        for metric, one in found["all"].items():
            assert one["difference"] == pytest.approx(figures[system][metric] - figures[against][metric])
            assert one["low"] <= one["difference"] <= one["high"]
        assert set(found["all"]) == {"ndcg@10", "recall@10"}


def test_slices_make_up_the_whole(tmp_path: Path, corpus: Corpus, rankings: Rankings) -> None:
    content = write(tmp_path / "report", corpus, rankings).metrics
    slices = content["slices"]
    for name in STEPS:
        whole = content["systems"][name]["filtered"]["metrics"]
        for dimension in ("history_length", "target_popularity"):
            parts = slices[dimension].values()
            assert sum(part["users"] for part in parts) == N_USERS
            for metric in ("recall@10", "ndcg@10"):
                total = sum(part["users"] * part["systems"][name]["metrics"][metric] for part in parts)
                assert total / N_USERS == pytest.approx(whole[metric])
                for part in parts:
                    low, high = part["systems"][name]["intervals"][metric]
                    assert low <= part["systems"][name]["metrics"][metric] <= high
    assert list(slices["truncated"]) == [*map(str, KEPT), "whole"]
    for part in slices["truncated"].values():
        assert part["users"] == (N_USERS + 1) // 2
        assert list(part["systems"]) == list(STEPS)


def test_ranks_are_kept_for_later_comparison(tmp_path: Path, corpus: Corpus, rankings: Rankings) -> None:
    report, split = write(tmp_path / "report", corpus, rankings), corpus.split("test")
    assert report.ranks["user"].to_pylist() == split.users.tolist()
    assert report.ranks["target"].to_pylist() == split.targets.tolist()
    ranks = report.ranks["sasrec.filtered"].to_numpy()
    assert ranks.tolist() == hit_ranks(rankings["sasrec"]["filtered"], split.targets).tolist()
    assert np.mean((ranks > 0) & (ranks <= 5)) == report.metrics["systems"]["sasrec"]["filtered"]["metrics"]["recall@5"]


def test_only_stage_seconds_depend_on_the_day(tmp_path: Path, corpus: Corpus, rankings: Rankings) -> None:
    first, same = (write(tmp_path / name, corpus, rankings) for name in ("first", "same"))
    assert first.fingerprint == same.fingerprint
    later = write(tmp_path / "later", corpus, rankings, seconds=9.0).metrics
    assert {**later, "stage_seconds": None} == {**first.metrics, "stage_seconds": None}
    assert later["stage_seconds"] != first.metrics["stage_seconds"]


def test_the_lead_is_the_best_against_the_next(corpus: Corpus, rankings: Rankings) -> None:
    result = evaluate(corpus, rankings)
    values = sorted((by["filtered"].metrics["ndcg@10"], name) for name, by in result.systems.items())
    assert result.lead is not None
    assert (result.lead.first, result.lead.second) == (values[-1][1], values[-2][1])
    assert result.lead.difference == pytest.approx(values[-1][0] - values[-2][0])
    assert result.lead.low <= result.lead.difference <= result.lead.high


def test_the_terminal_table_holds_every_figure(corpus: Corpus, rankings: Rankings) -> None:
    result = evaluate(corpus, rankings)
    lines = text_table(result)
    assert len(lines) == 2 * (2 + len(SYSTEMS))
    row = next(line for line in lines if line.startswith("sasrec"))
    assert f"{result.systems['sasrec']['filtered'].metrics['recall@1']:.4f}" in row


def test_json_is_plain(tmp_path: Path, corpus: Corpus, rankings: Rankings) -> None:
    text = (write(tmp_path / "report", corpus, rankings).path / "metrics.json").read_text()
    assert json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))

"""The report: the contract's keys, the page's safety, and the same bytes every time."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from small_shop import HOSTILE, N_ITEMS, N_USERS, Stepping

from semconv.artifacts import Corpus, Report, finish, staging
from semconv.errors import ArtifactError
from semconv.evaluation.about import About, describe
from semconv.evaluation.aliases import aliases
from semconv.evaluation.beyond import Catalogue
from semconv.evaluation.charts import Dots, Line, dot_chart, line_chart, spread, ticks
from semconv.evaluation.code_map import CodeMap
from semconv.evaluation.examples import LONGEST, TOP, Example, choose
from semconv.evaluation.metrics import hit_ranks
from semconv.evaluation.page import page
from semconv.evaluation.rankings import Gathering, Rankings, rank_block
from semconv.evaluation.results import Result, measure
from semconv.evaluation.seeds import Seeds
from semconv.evaluation.slices import Slices, slice_users
from semconv.evaluation.tables import text_table
from semconv.evaluation.truncation import KEPT, TruncatedGathering, rank_truncated
from semconv.evaluation.write import write_report

STEPS = {
    "popularity": 1,
    "sasrec": 7,
    "<b>odd</b>": 11,
    "generative_compact": 19,
    "converged": 13,
    "converged_without_generative": 17,
}
SYSTEMS = {name: Stepping(name, step) for name, step in STEPS.items()}
K = 10


@pytest.fixture(scope="module")
def rankings(corpus: Corpus) -> Rankings:
    gathering = Gathering(corpus.split("test"), N_ITEMS, K)
    gathering.add(np.arange(N_USERS), rank_block(SYSTEMS, list(corpus.split("test").histories), K))
    return gathering.finish()


def evaluate(corpus: Corpus, rankings: Rankings) -> Result:
    targets = corpus.split("test").targets
    return measure(rankings, targets, catalogue=catalogue(corpus), cutoffs=(10, 5, 1), resamples=100, seed=17)


def catalogue(corpus: Corpus) -> Catalogue:
    text = np.random.default_rng(0).normal(size=(N_ITEMS, 4)).astype(np.float32)
    return Catalogue.of(corpus.training().values, text)


def slices_of(corpus: Corpus, result: Result) -> Slices:
    split, rows = corpus.split("test"), np.arange(0, N_USERS, 2)
    gathering = TruncatedGathering(split, N_ITEMS, K, rows)
    everyone = np.arange(N_USERS)
    gathering.take(everyone, rank_truncated(SYSTEMS, list(split.histories), np.isin(everyone, rows), K))
    counts = catalogue(corpus).counts_N
    ranks = result.filtered_ranks
    return slice_users(ranks, split, counts, k=10, resamples=100, seed=17, truncated=gathering.finish())


def about(corpus: Corpus, seconds: float = 2.5) -> About:
    described = describe(
        "<i>tiny</i>", corpus, corpus.split("test"), [corpus], {"evaluate": {"at": [1, 5, 10]}}, {"ingest": seconds}
    )
    curves = [{"step": 10.0 * n, "loss": 3.0 / n, "recall@10": 0.1 * n} for n in range(1, 4)]
    return replace(described, curves=curves)


def codes() -> CodeMap:
    places = np.random.default_rng(2).uniform(-1, 1, size=(N_ITEMS, 2))
    return CodeMap(places, (np.arange(N_ITEMS) % 4).astype(np.int32), "30 items in <u>some</u> space")


def write(folder: Path, corpus: Corpus, rankings: Rankings, seconds: float = 2.5) -> Report:
    split = corpus.split("test")
    with staging(folder) as target:
        examples = choose(corpus, split, rankings, 10, 17)
        result = evaluate(corpus, rankings)
        slices, described = slices_of(corpus, result), about(corpus, seconds)
        write_report(target, result, slices, described, split=split, examples=examples, codes=codes())
        finish(target, "report", settings={}, inputs={"corpus": corpus}, counts={}, request="r", seconds=1.0)
    return Report.open(folder)


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


class Tags(HTMLParser):
    """Collects tags and attributes, and checks that they nest."""

    VOID = {"meta", "line", "path", "circle", "rect", "polyline", "br"}

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_stands_alone_and_lets_no_data_speak_html(tmp_path: Path, corpus: Corpus, rankings: Rankings) -> None:
    html = write(tmp_path / "report", corpus, rankings).page.read_text()
    tags = Tags()
    tags.feed(html)
    assert tags.open == []
    assert not {"script", "img", "link", "iframe", "i", "u"} & set(tags.tags)
    assert not {"src", "href", "onload", "action"} & {name for name, _ in tags.attributes}
    assert not re.search(r"url\(|@import", html)
    # The hostile title is there, as text; the only addresses are the ones inside such text.
    assert "&lt;script&gt;alert(&#x27;1&#x27;)&lt;/script&gt; &amp;" in html
    assert not re.search("https?://", html.replace("https://evil.example", ""))
    assert "&lt;b&gt;odd&lt;/b&gt;" in html
    assert "<title>Evaluation of &lt;i&gt;tiny&lt;/i&gt;</title>" in html
    assert "secret-" not in html
    assert "(no title) i1" in html


def test_the_page_shows_all_its_parts(tmp_path: Path, corpus: Corpus, rankings: Rankings) -> None:
    report = write(tmp_path / "report", corpus, rankings)
    html = report.page.read_text()
    assert html.count('<article class="user">') == 10
    assert html.count("<details open>") == 1
    assert html.count("<svg") == 2 + 2 + 2 + 1 + 1
    assert html.count("<g fill=") == 4
    value = report.metrics["systems"]["sasrec"]["filtered"]["metrics"]["recall@5"]
    assert f"{value:.4f}" in html
    text = (report.path / "report.md").read_text()
    assert f"{value:.4f}" in text
    part = report.metrics["slices"]["truncated"]["1"]["systems"]["sasrec"]["metrics"]["ndcg@10"]
    for shown in (html, text):
        assert f"{part:.4f}" in shown
        assert "against" in shown
        assert "Converged minus each baseline" in shown
        assert "Diversity@10" in shown
        assert "last 2 events (13 users)" in shown
    assert "prefers-color-scheme: dark" in html


def test_examples_are_what_the_systems_said(corpus: Corpus, rankings: Rankings) -> None:
    split = corpus.split("test")
    examples = choose(corpus, split, rankings, 1000, 17)
    assert [example.user for example in examples] == split.users.tolist()
    marked = sum(hit for example in examples for _, hit in example.tops["sasrec"])
    assert marked == np.count_nonzero(np.isin(hit_ranks(rankings["sasrec"]["filtered"], split.targets), range(1, 6)))
    assert marked > 0
    assert all(example.history[0] == HOSTILE for example in examples)
    assert [e.user for e in choose(corpus, split, rankings, 4, 1)] == [
        e.user for e in choose(corpus, split, rankings, 4, 1)
    ]


def test_a_page_of_endless_titles_stays_small_and_says_who_found_what(corpus: Corpus, rankings: Rankings) -> None:
    split, result = corpus.split("test"), evaluate(corpus, rankings)
    examples = choose(corpus, split, rankings, 20, 17)
    long = [replace(example, target="x" * LONGEST) for example in examples]
    many = [replace(e, tops={f"system {n}": (("y" * LONGEST, n < 2),) * TOP for n in range(20)}) for e in long]
    html = page(result, slices_of(corpus, result), about(corpus), many, codes())
    assert len(html.encode()) < 1_000_000
    assert html.count("found by 2 of 20 systems") == len(examples) == 20


def test_titles_are_cut_where_they_get_too_long(tmp_path: Path, corpus: Corpus, rankings: Rankings) -> None:
    def first_target(title: str) -> Example:
        corpus.__dict__["items"] = items.set_column(1, "title", [[title] * N_ITEMS])
        return choose(corpus, corpus.split("test"), rankings, 1, 17)[0]

    items = corpus.items
    try:
        assert first_target("z" * LONGEST).target == "z" * LONGEST
        assert first_target("z" * 5000).target == "z" * (LONGEST - 1) + "…"
    finally:
        corpus.__dict__["items"] = items


@pytest.mark.parametrize("label", ["0.07", "Converged without LLM", "a system with quite a long name"])
def test_labels_have_room_beside_the_chart(label: str) -> None:
    widest = 7.3 * len(label)
    lines = line_chart("x", [Line(label, [(1, 0.1), (50, 0.2)], "generative")], x_label="k")
    dots = dot_chart("x", [Dots(label, [(0.1, 0.0, 0.2, True)], "generative")])
    for chart, anchor in ((lines, "start"), (dots, "end")):
        width = float(re.search(r'viewBox="0 0 (\d+)', chart)[1])
        at = float(re.search(rf'class="name[^"]*" x="([\d.]+)"[^>]*text-anchor="{anchor}"', chart)[1])
        assert at >= widest if anchor == "end" else at + widest <= width
        drawn = [float(x) for x in re.findall(r'x2="([\d.]+)"', chart)]
        assert max(drawn) <= width
        assert max(drawn) - (52 if anchor == "start" else at) >= 250


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


def test_labels_keep_their_distance() -> None:
    placed = spread([50.0, 51.0, 52.0, 200.0], 15.0, 0.0, 200.0)
    assert np.diff(sorted(placed)).min() >= 15.0
    assert max(placed) <= 200.0
    assert placed[3] == 200.0


def test_ticks_are_round_and_cover() -> None:
    assert ticks(0.0, 0.093) == [0.0, 0.02, 0.04, 0.06, 0.08, 0.1]
    assert ticks(5.9, 9.0)[0] <= 5.9
    assert ticks(0.0, 0.0) == [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]

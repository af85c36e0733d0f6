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
from semconv.evaluation.about import About, describe
from semconv.evaluation.charts import spread, ticks
from semconv.evaluation.examples import choose
from semconv.evaluation.metrics import hit_ranks
from semconv.evaluation.rankings import Gathering, Rankings, rank_block
from semconv.evaluation.results import Result, measure
from semconv.evaluation.tables import text_table
from semconv.evaluation.write import write_report

SYSTEMS = {name: Stepping(name, step) for name, step in (("popularity", 1), ("sasrec", 7), ("<b>odd</b>", 11))}
K = 10


@pytest.fixture(scope="module")
def rankings(corpus: Corpus) -> Rankings:
    gathering = Gathering(corpus.split("test"), N_ITEMS, K)
    gathering.add(np.arange(N_USERS), rank_block(SYSTEMS, list(corpus.split("test").histories), K))
    return gathering.finish()


def evaluate(corpus: Corpus, rankings: Rankings) -> Result:
    targets = corpus.split("test").targets
    return measure(rankings, targets, n_items=N_ITEMS, cutoffs=(10, 5, 1), resamples=100, seed=17)


def about(corpus: Corpus, seconds: float = 2.5) -> About:
    described = describe(
        "<i>tiny</i>", corpus, corpus.split("test"), [corpus], {"evaluate": {"at": [1, 5, 10]}}, {"ingest": seconds}
    )
    curves = [{"step": 10.0 * n, "loss": 3.0 / n, "recall@10": 0.1 * n} for n in range(1, 4)]
    return replace(described, curves=curves)


def write(folder: Path, corpus: Corpus, rankings: Rankings, seconds: float = 2.5) -> Report:
    split = corpus.split("test")
    with staging(folder) as target:
        examples = choose(corpus, split, rankings, 10, 17)
        write_report(target, evaluate(corpus, rankings), about(corpus, seconds), split, examples)
        finish(target, "report", settings={}, inputs={"corpus": corpus}, counts={}, request="r", seconds=1.0)
    return Report.open(folder)


def test_metrics_follow_the_contract(tmp_path: Path, corpus: Corpus, rankings: Rankings) -> None:
    report = write(tmp_path / "report", corpus, rankings)
    content = report.metrics
    assert set(content) == {"users", "seed", "fingerprint", "stage_seconds", "systems"}
    assert (content["users"], content["seed"], content["stage_seconds"]) == (N_USERS, 17, {"ingest": 2.5})
    assert content["fingerprint"] == about(corpus).fingerprint
    assert list(content["systems"]) == list(SYSTEMS)
    for by_filter in content["systems"].values():
        assert set(by_filter) == {"filtered", "unfiltered"}
        for scores in by_filter.values():
            for k in (1, 5, 10):
                for metric in (f"recall@{k}", f"ndcg@{k}", f"mrr@{k}"):
                    low, high = scores["intervals"][metric]
                    assert 0 <= low <= scores["metrics"][metric] <= high <= 1
                assert 0 < scores["metrics"][f"coverage@{k}"] <= 1


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
    assert not {"script", "img", "link", "iframe", "i"} & set(tags.tags)
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
    assert html.count("<svg") == 2 + 2 + 2 + 1
    value = report.metrics["systems"]["sasrec"]["filtered"]["metrics"]["recall@5"]
    assert f"{value:.4f}" in html
    assert f"{value:.4f}" in (report.path / "report.md").read_text()
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

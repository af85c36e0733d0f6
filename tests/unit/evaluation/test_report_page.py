"""The report's page: it stands alone, is safe, shows all its parts, and its examples are what the systems said."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
from small_report import about, codes, evaluate, slices_of, write
from small_shop import HOSTILE, N_ITEMS

from semconv.artifacts import Corpus
from semconv.evaluation.examples import LONGEST, TOP, Example, choose
from semconv.evaluation.metrics import hit_ranks
from semconv.evaluation.page import looks, page
from semconv.evaluation.rankings import Rankings


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
    assert html.count("<svg") == 2 + 2 + 3 + 1 + 1
    assert "NDCG@10 of the behaviour encoders on validation" in html
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


def test_no_two_systems_are_drawn_alike() -> None:
    """As many as a report of the full configuration has: seven of them are of one family."""
    names = ["random", "popularity", "item_to_item", "item_to_item_tuned", "sasrec", "lightgcn", "dccf"]
    names += ["text_neighbours", "generative_compact", "converged", "converged_without_generative"]
    assert len(set(looks(names).values())) == len(names)

"""The report of any index: figures that are plain JSON, a page that stands alone, and titles that stay titles."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from small_catalogue import FAMILY, HOSTILE, N_ITEMS, family_vectors, make_corpus, write_corpus

from semconv.evaluation.index_tables import Row, sections
from semconv.evaluation.index_write import write_index_reports
from semconv.tokens.index import CodeIndex
from semconv.tokens.index_report import IndexReport, Space, Yardstick, index_report
from semconv.tokens.map import flat_map
from semconv.tokens.quality import prefix_errors

FAMILIES = CodeIndex("families", np.stack([FAMILY, np.arange(N_ITEMS) % 11], axis=1).astype(np.int32), 16)
LOTS = CodeIndex("lots", np.random.default_rng(0).integers(0, 16, (N_ITEMS, 3)).astype(np.int32), 16)
OWN = {"error": 0.3, "error_before": 0.25, "error_by_level": [0.6, 0.25], "items": N_ITEMS}


@pytest.fixture(scope="module")
def yardstick(tmp_path_factory: pytest.TempPathFactory) -> Yardstick:
    everything = torch.ones(N_ITEMS, dtype=torch.bool)
    few = torch.arange(N_ITEMS) < 40
    spaces = {
        "text": Space(family_vectors(), everything),
        "behaviour": Space(family_vectors(5, seed=1) * few[:, None], few),
    }
    return Yardstick.of(make_corpus(tmp_path_factory.mktemp("shop") / "corpus"), spaces, seed=3, method="pca")


@pytest.fixture(scope="module")
def reports(yardstick: Yardstick) -> list[IndexReport]:
    return [index_report(FAMILIES, yardstick, OWN), index_report(LOTS, yardstick)]


def test_what_is_known_of_the_families_shows_in_every_figure(reports: list[IndexReport]) -> None:
    ours, lots = (report.figures for report in reports)
    assert ours["unique_tuples"] == N_ITEMS
    assert ours["usage"] == pytest.approx([6 / 16, 11 / 16])
    assert ours["perplexity"] == pytest.approx([6.0, 11.0])
    assert ours["largest"] == pytest.approx([1 / 6, 1 / 11])
    assert ours["neighbours"]["text"]["prefixes"] > 0.9 > 0.3 > lots["neighbours"]["text"]["prefixes"]
    assert ours["purity"][1] == {"chance": 1.0, "asked": 1.0}
    assert ours["next_prefix"]["1"]["information"] > 1.5 > lots["next_prefix"]["1"]["information"]
    assert ours["prefix_error"]["text"][0] < 0.1 < lots["prefix_error"]["text"][0]
    assert ours["prefix_error"]["text"][1] == pytest.approx(0.0, abs=1e-12)
    assert ours["quantizer"] == {"error": 0.3, "error_before": 0.25, "error_by_level": [0.6, 0.25]}
    assert lots["quantizer"] is None


def test_files_hold_every_index_and_run_nothing(tmp_path: Path, reports: list[IndexReport]) -> None:
    write_index_reports(tmp_path, "Codes of <i>shop</i>", reports)
    figures = json.loads((tmp_path / "indexes.json").read_text())
    assert figures == {report.name: json.loads(json.dumps(report.figures)) for report in reports}
    page, text = ((tmp_path / name).read_text() for name in ("indexes.html", "indexes.md"))
    for name in ("families", "lots"):
        assert f"<strong>{name}</strong>" in page
        assert f"Items of `{name}`" in text
    assert page.count("<svg") == 2 + 3 + 2
    assert "<i>shop" not in page
    assert "&lt;i&gt;shop" in page
    assert not re.search(r"<script|<link|<img|@import|url\(|https?:", page)
    assert "&lt;script&gt;" in page
    assert "\\<script\\>" in text
    assert HOSTILE not in page + text
    assert len(set(re.findall(r'<g fill="([^"]+)"', page))) >= 6


def test_the_same_reports_give_the_same_bytes(tmp_path: Path, yardstick: Yardstick) -> None:
    pages = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        write_index_reports(tmp_path / name, "x", [index_report(FAMILIES, yardstick)])
        pages.append([path.read_bytes() for path in sorted((tmp_path / name).iterdir())])
    assert pages[0] == pages[1]


def test_a_catalogue_of_one_item(tmp_path: Path) -> None:
    item = {"item_id": "i0", "title": "the thing", "categories": ["Shop"]}
    user = {"user_id": "u0", "items": [0, 0, 0], "times": None, "train_end": 1, "valid_end": 2}
    corpus = write_corpus(tmp_path / "corpus", [item], [user])
    spaces = {"text": Space(torch.ones(1, 4), torch.ones(1, dtype=torch.bool))}
    one = CodeIndex("one", np.asarray([[3, 1]], np.int32), 4)
    report = index_report(one, Yardstick.of(corpus, spaces, seed=0))
    assert report.figures["unique_tuples"] == 1
    assert report.figures["neighbours"] == {"text": None}
    assert report.figures["purity"] == [{"chance": None, "asked": 0.0}] * 3
    assert report.figures["prefix_error"] == {"text": [None, None]}
    assert report.figures["next_prefix"]["1"]["item_bits"] == 0
    assert [example.items for example in report.examples] == [(((3, 1), "the thing"),)]
    write_index_reports(tmp_path, "x", [report])
    assert "the thing" in (tmp_path / "indexes.html").read_text()


def test_a_space_of_which_nothing_is_known(tmp_path: Path) -> None:
    corpus = make_corpus(tmp_path / "corpus")
    nothing = torch.zeros(N_ITEMS, dtype=torch.bool)
    spaces = {"text": Space(torch.zeros(N_ITEMS, 4), nothing)}
    report = index_report(LOTS, Yardstick.of(corpus, spaces, seed=0))
    assert report.figures["neighbours"] == {"text": None}
    assert report.figures["prefix_error"] == {}
    write_index_reports(tmp_path, "x", [report])


def test_best_is_best_of_what_is_known() -> None:
    row = Row("x", (0.5, None, 0.7), better=-1)
    assert [row.is_best(place) for place in range(3)] == [True, False, False]
    assert [row.text(place) for place in range(3)] == ["0.5000", "", "0.7000"]
    assert not Row("x", (1.0, 1.0), better=1).is_best(0)
    assert not Row("x", (1.0, 2.0)).is_best(1)


def test_nothing_is_best_where_figures_improve_by_themselves_or_nobody_can_be_asked(
    reports: list[IndexReport],
) -> None:
    rows = {row.label: row for group in sections(reports).values() for row in group}
    best = {label: [row.is_best(place) for place in range(2)] for label, row in rows.items()}
    assert best["text, 1 code"] == [True, False]
    assert best["text, 2 codes"] == best["text, 3 codes"] == [False, False]
    assert best["1 code: purity"] == [True, False]
    assert rows["2 codes: purity"].values[0] is None
    assert best["2 codes: purity"] == [False, False]
    assert rows["2 codes: purity"].text(0) == ""


def test_prefix_error_is_the_spread_within_prefixes() -> None:
    vectors = torch.tensor([[0.0], [2.0], [10.0], [12.0]])
    codes = np.asarray([[0, 0], [0, 1], [1, 0], [1, 0]], np.int32)
    assert prefix_errors(vectors, codes) == pytest.approx([4 / 104, 2 / 104])
    for same in (torch.ones(4, 1), torch.zeros(4, 1), torch.full((4, 1), 0.1)):
        assert prefix_errors(same, codes) == [None, None]


@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_a_map_lies_within_its_frame_and_keeps_families_apart(method: str) -> None:
    vectors = family_vectors(spread=0.01)
    places, _ = flat_map(vectors, 0, method)
    assert places.shape == (N_ITEMS, 2)
    assert np.abs(places).max() == pytest.approx(1.0)
    assert np.array_equal(places, flat_map(vectors, 0, method)[0])
    centres = np.stack([places[family == FAMILY].mean(axis=0) for family in range(6)])
    nearest = np.linalg.norm(places[:, None] - centres[None], axis=2).argmin(axis=1)
    assert (nearest == FAMILY).mean() > 0.95


@pytest.mark.parametrize("vectors", [torch.zeros(0, 3), torch.ones(1, 3), torch.ones(60, 3), torch.randn(5, 1)])
def test_vectors_that_span_nothing_are_mapped_too(vectors: torch.Tensor) -> None:
    places, _ = flat_map(vectors, 0)
    assert places.shape == (len(vectors), 2)
    assert np.isfinite(places).all()

"""The quality report of code indexes as one self-contained HTML page."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

from semconv.evaluation.charts import area_chart
from semconv.evaluation.code_map import CodeMap
from semconv.evaluation.html import document, figure
from semconv.evaluation.index_tables import NOTES, Row, sections
from semconv.tokens.index_report import IndexReport, PrefixExample

STEPS = 512
"""Codes that a chart of usage tells apart; larger codebooks are thinned out to as many."""


def index_page(title: str, reports: Sequence[IndexReport]) -> str:
    """The page of one index, or of several side by side. Every text that comes from data is escaped."""
    parts = [_head(title, reports)]
    parts += [_table(name, rows, reports) for name, rows in sections(reports).items()]
    for report in reports:
        parts += [_usage(report), _map(report), _examples(report)]
    return document(title, parts)


def _head(title: str, reports: Sequence[IndexReport]) -> str:
    names = ", ".join(f"<strong>{escape(report.name)}</strong>" for report in reports)
    return (
        f'<p class="eyebrow">Item codes</p><h1>{escape(title)}</h1>'
        f'<p class="lead">How well the codes of {reports[0].figures["items"]:,} items tell them apart, share the load, '
        f"and keep what is near together: {names}. Bold figures are the best of their row.</p>"
    )


def _table(name: str, rows: Sequence[Row], reports: Sequence[IndexReport]) -> str:
    head = "".join(f'<th scope="col">{escape(report.name)}</th>' for report in reports)
    body = []
    for row in rows:
        cells = "".join(
            f"<td>{f'<b>{row.text(place)}</b>' if row.is_best(place) else row.text(place)}</td>"
            for place in range(len(reports))
        )
        body.append(f'<tr><th scope="row">{escape(row.label)}</th>{cells}</tr>')
    return (
        f"<h2>{name}</h2><p>{escape(NOTES[name])}</p>"
        f'<div class="wide" tabindex="0" role="region" aria-label="{name}"><table>'
        f'<thead><tr><th scope="col">Figure</th>{head}</tr></thead><tbody>{"".join(body)}</tbody></table></div>'
    )


def _usage(report: IndexReport) -> str:
    charts = []
    for level, counts_C in enumerate(report.counts):
        ranked = np.sort(counts_C)[::-1]
        shown = ranked[np.linspace(0, len(ranked) - 1, min(len(ranked), STEPS)).round().astype(int)]
        used = f"{int((counts_C > 0).sum()):,} of {len(counts_C):,} codes used"
        chart = area_chart(
            f"Items by code, level {level + 1} of {report.name}",
            shown.tolist(),
            even=counts_C.sum() / len(counts_C),
            x_label="codes, most common first",
        )
        charts.append(figure(f"<strong>Level {level + 1}</strong>: items of each code, {used}", chart))
    return (
        f"<h2>Use of the codes: {escape(report.name)}</h2><p>The line is where all codes are equally common.</p>"
        f'<div class="pair">{"".join(charts)}</div>'
    )


def _map(report: IndexReport) -> str:
    drawn = CodeMap(report.places, report.first_codes, report.map_caption).figure(f"Map of items, {report.name}")
    return f'<h2>Where the first codes lie: {escape(report.name)}</h2><div class="pair">{drawn}</div>'


def _examples(report: IndexReport) -> str:
    return (
        f"<h2>Items by prefix: {escape(report.name)}</h2><p>First codes drawn at random, and the first of their items "
        f'in the order of codes.</p><div class="columns">{"".join(map(_example, report.examples))}</div>'
    )


def _example(example: PrefixExample) -> str:
    items = "".join(
        f"<li><code>{'-'.join(map(str, codes))}</code> {escape(title)}</li>" for codes, title in example.items
    )
    return f"<div><h4>First code {example.code}, {example.size:,} items</h4><ol>{items}</ol></div>"

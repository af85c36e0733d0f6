"""The files of a report on code indexes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from semconv.evaluation.index_page import index_page
from semconv.evaluation.index_tables import markdown
from semconv.tokens.index_report import IndexReport

FIGURES, MARKDOWN, PAGE = "indexes.json", "indexes.md", "indexes.html"


def write_index_reports(folder: Path, title: str, reports: Sequence[IndexReport]) -> None:
    """Write figures by index name (JSON), the tables (Markdown) and the page (HTML) into an existing ``folder``."""
    figures = {report.name: report.figures for report in reports}
    (folder / FIGURES).write_text(json.dumps(figures, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    (folder / MARKDOWN).write_text(markdown(title, reports), encoding="utf-8")
    (folder / PAGE).write_text(index_page(title, reports), encoding="utf-8")

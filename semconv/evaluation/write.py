"""The report's files: figures for programs, ranks for later comparison, Markdown and a page for people."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from semconv.artifacts import Split
from semconv.artifacts.report import MARKDOWN, METRICS, PAGE, RANKS
from semconv.evaluation.about import About
from semconv.evaluation.code_map import CodeMap
from semconv.evaluation.examples import Example
from semconv.evaluation.markdown import markdown
from semconv.evaluation.page import page
from semconv.evaluation.rankings import column
from semconv.evaluation.refit import Refit
from semconv.evaluation.results import Result
from semconv.evaluation.seeds import Seeds
from semconv.evaluation.slices import Slices


def write_report(
    folder: Path,
    result: Result,
    slices: Slices,
    about: About,
    *,
    split: Split,
    examples: list[Example],
    codes: CodeMap,
    seeds: Seeds | None = None,
    refit: Refit | None = None,
) -> None:
    """Write the files of a `semconv.artifacts.report.Report` into ``folder``."""
    contract = result.contract(about.fingerprint, about.stage_seconds) | {"slices": slices.contract()}
    if seeds is not None:
        contract["seeds"] = seeds.contract()
    if refit is not None:
        contract["refit"] = refit.contract()
    (folder / METRICS).write_text(json.dumps(contract, indent=2) + "\n", encoding="utf-8")
    ranks = {
        column(name, kind): scores.ranks
        for name, by_filter in result.systems.items()
        for kind, scores in by_filter.items()
    }
    pq.write_table(pa.table({"user": split.users, "target": split.targets, **ranks}), folder / RANKS)
    (folder / MARKDOWN).write_text(markdown(result, slices, about, seeds, refit), encoding="utf-8")
    (folder / PAGE).write_text(page(result, slices, about, examples, codes, seeds, refit), encoding="utf-8")

"""The report as Markdown: every table, for people who read text and for documents that quote it."""

from __future__ import annotations

from collections.abc import Iterable

from semconv.evaluation.about import About
from semconv.evaluation.rankings import FILTERS, Filter
from semconv.evaluation.refit import Refit
from semconv.evaluation.results import Result
from semconv.evaluation.seeds import Seeds
from semconv.evaluation.slices import Slices
from semconv.evaluation.tables import (
    FILTER_WORDS,
    REFIT_WORDS,
    Table,
    accuracy_metrics,
    beyond_metrics,
    each_baseline_table,
    refit_table,
    seed_table,
    significance_table,
    slice_tables,
    system_table,
)


def markdown(result: Result, slices: Slices, about: About, seeds: Seeds | None, refit: Refit | None) -> str:
    """What was evaluated, one table a filter with intervals, significance, slices, stage times."""
    lines = [
        f"# Evaluation of `{about.run}`",
        "",
        f"{result.users:,} users, {about.counts['items']:,} items, one held-out item a user, "
        "ranked over the whole catalogue. "
        "Brackets: 95% intervals by paired bootstrap over users. Bold: best of the column.",
    ]
    for kind in FILTERS:
        words = FILTER_WORDS[kind].capitalize()
        lines += _section(2, words, [system_table(result, kind, accuracy_metrics(result), "")])
        lines += _section(3, f"Beyond accuracy, {FILTER_WORDS[kind]}", [_beyond(result, kind)])
    compared = [table for table in (significance_table(result), each_baseline_table(result)) if table is not None]
    for table in compared:
        lines += _section(2, table.title, [table])
    if compared:
        lines += ["", "Seen items removed; bold: p < .05, not corrected for the number of comparisons."]
    if seeds is not None:
        lines += _section(2, "Seeds", [])
        lines += ["", "Mean over seeds and standard deviation; brackets: the least and the largest."]
        for table in (seed_table(seeds, kind) for kind in FILTERS):
            lines += _section(3, table.title, [table])
    if refit is not None:
        lines += _section(2, "Refitted", [])
        lines += ["", REFIT_WORDS]
        for table in (refit_table(refit, kind) for kind in FILTERS):
            lines += _section(3, table.title, [table])
    for dimension, tables in slice_tables(slices):
        lines += _section(2, f"Users {dimension}", [])
        for table in tables:
            lines += _section(3, f"{table.title} {dimension}", [table])
    lines += ["", "## Stage times", "", "| stage | seconds |", "|---|---:|"]
    lines += [f"| {stage} | {seconds:.0f} |" for stage, seconds in about.stage_seconds.items()]
    lines += ["", f"Fingerprint of what was evaluated: `{about.fingerprint}`. Seed {result.seed}.", ""]
    return "\n".join(lines)


def _beyond(result: Result, kind: Filter) -> Table:
    return system_table(result, kind, beyond_metrics(result), "")


def _section(level: int, title: str, tables: Iterable[Table]) -> list[str]:
    lines = ["", f"{'#' * level} {title}"]
    for table in tables:
        lines += ["", f"| system | {' | '.join(table.head)} |", "|---|" + "---:|" * len(table.head)]
        for name, cells in table.rows:
            texts = []
            for cell in cells:
                interval = "" if cell.interval is None else f" [{cell.interval[0]:.4f}, {cell.interval[1]:.4f}]"
                texts.append((f"**{cell.text}**" if cell.best else cell.text) + interval)
            lines.append(f"| `{name}` | {' | '.join(texts)} |")
    return lines

"""The report's tables, before they become HTML or Markdown; and the one that a terminal shows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from semconv.evaluation.beyond import BEYOND
from semconv.evaluation.labels import dimension_label, metric_label, metric_short, system_label
from semconv.evaluation.paired import Comparison
from semconv.evaluation.rankings import FILTERS, Filter
from semconv.evaluation.refit import Refit
from semconv.evaluation.results import Result
from semconv.evaluation.seeds import Seeds, deviation_of, mean_of
from semconv.evaluation.slices import Slices

FILTER_WORDS: dict[Filter, str] = {"filtered": "seen items removed", "unfiltered": "seen items kept"}
NOTHING = "none"
REFIT_WORDS = "The whole job again on training and validation interactions together, nothing chosen anew."


@dataclass(frozen=True)
class Cell:
    """One figure or word as text, with its 95% interval if it has one; ``best`` of its column or not."""

    text: str
    interval: tuple[float, float] | None = None
    best: bool = False


@dataclass(frozen=True)
class Table:
    """A title, heads of the columns, and a row of cells for each system, by the system's key; all plain text."""

    title: str
    head: Sequence[str]
    rows: Sequence[tuple[str, Sequence[Cell]]]


def accuracy_metrics(result: Result) -> list[str]:
    """Recall and NDCG at every cut-off, then MRR at the headline; not NDCG@1, which is Recall@1."""
    pairs = [f"{metric}@{k}" for k in result.cutoffs for metric in ("recall", "ndcg")]
    return [*(name for name in pairs if name != "ndcg@1"), f"mrr@{result.headline}"]


def beyond_metrics(result: Result) -> list[str]:
    """What describes the lists, at the headline cut-off."""
    return [f"{name}@{result.headline}" for name in BEYOND]


def system_table(result: Result, kind: Filter, metrics: Sequence[str], title: str) -> Table:
    """The chosen metrics of every system under one filter."""
    rows = []
    for name, by_filter in result.systems.items():
        scores = by_filter[kind]
        cells = [
            Cell(_number(scores.metrics.get(m)), scores.intervals.get(m), result.is_best(name, m, kind))
            for m in metrics
        ]
        rows.append((name, cells))
    return Table(title, [metric_label(metric) for metric in metrics], rows)


def significance_table(result: Result) -> Table | None:
    """Every system against the best baseline, and what else is compared; None where nothing is."""
    compared = list(result.significance.values())
    if not compared:
        return None
    rows = [(one[0].first, [Cell(system_label(one[0].second)), *_differences(one)]) for one in compared]
    return Table("Difference to the strongest baseline, paired", ["against", *_heads(compared[0])], rows)


def each_baseline_table(result: Result) -> Table | None:
    """The converged system against every baseline; None where there is nothing to compare."""
    if not result.against_each:
        return None
    rows = [(baseline, _differences(one)) for baseline, one in result.against_each.items()]
    head = _heads(next(iter(result.against_each.values())))
    return Table("Converged minus each baseline, paired", head, rows)


def seed_table(seeds: Seeds, kind: Filter) -> Table:
    """Mean and standard deviation over seeds of every system, with the least and the largest value."""
    rows, heads = [], []
    for name, by_filter in seeds.values.items():
        heads = list(by_filter[kind])
        cells = [
            Cell(f"{mean_of(values):.4f} ± {deviation_of(values):.4f}", (min(values), max(values)))
            for values in by_filter[kind].values()
        ]
        rows.append((name, cells))
    said = ", ".join(map(str, seeds.seeds))
    return Table(f"Seeds {said}, {FILTER_WORDS[kind]}", [metric_label(metric) for metric in heads], rows)


def refit_table(refit: Refit, kind: Filter) -> Table:
    """Every system as it was chosen, and refitted."""
    rows, heads = [], []
    for name, by_filter in refit.values.items():
        heads = [text for metric in by_filter[kind] for text in (metric_label(metric), "refitted")]
        rows.append((name, [Cell(_number(value)) for pair in by_filter[kind].values() for value in pair]))
    return Table(f"Refitted, {FILTER_WORDS[kind]}", heads, rows)


def slice_tables(slices: Slices) -> Iterator[tuple[str, list[Table]]]:
    """For each thing that users differ in: what it is, and a table a metric, with a column for every slice."""
    for dimension, parts in slices.by.items():
        tables = []
        for metric in (f"recall@{slices.k}", f"ndcg@{slices.k}"):
            best = [max(values[metric] for values in part.metrics.values()) for part in parts]
            rows = [
                (
                    system,
                    [
                        Cell(
                            _number(part.metrics[system][metric]),
                            part.intervals[system][metric],
                            0 < top == part.metrics[system][metric],
                        )
                        for part, top in zip(parts, best, strict=True)
                    ],
                )
                for system in (parts[0].metrics if parts else ())
            ]
            head = [f"{part.says} ({part.users:,} users)" for part in parts]
            tables.append(Table(metric_label(metric), head, rows))
        yield dimension_label(dimension), tables


def text_table(result: Result) -> list[str]:
    """Lines of the table as a terminal shows it, one filter after the other."""
    metrics = [*accuracy_metrics(result), f"coverage@{result.headline}"]
    width = max(len(name) for name in result.systems)
    lines = []
    for kind in FILTERS:
        lines.append(f"{FILTER_WORDS[kind]}, {result.users} users")
        lines.append("  ".join([" " * width, *(f"{metric_short(metric):>8}" for metric in metrics)]).rstrip())
        for name, by_filter in result.systems.items():
            values = by_filter[kind].metrics
            lines.append("  ".join([f"{name:<{width}}", *(f"{values[metric]:8.4f}" for metric in metrics)]))
    return lines


def _heads(compared: Sequence[Comparison]) -> list[str]:
    return [word for one in compared for word in (metric_label(one.metric), "p")]


def _differences(compared: Sequence[Comparison]) -> list[Cell]:
    cells = []
    for one in compared:
        cells += [Cell(f"{one.difference:+.4f}", (one.low, one.high), one.p < 0.05), Cell(f"{one.p:.4f}")]
    return cells


def _number(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.4f}"

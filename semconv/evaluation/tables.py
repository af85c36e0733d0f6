"""The result as text: a table for the terminal, and the Markdown report."""

from __future__ import annotations

from semconv.evaluation.about import About
from semconv.evaluation.labels import metric_short
from semconv.evaluation.rankings import FILTERS, Filter
from semconv.evaluation.results import Result

FILTER_WORDS: dict[Filter, str] = {"filtered": "seen items removed", "unfiltered": "seen items kept"}


def shown_metrics(result: Result) -> list[str]:
    """Metrics that tables show: Recall and NDCG at every cut-off, then MRR at the deepest and coverage."""
    pairs = [f"{metric}@{k}" for k in result.cutoffs for metric in ("recall", "ndcg")]
    return [*pairs, f"mrr@{result.cutoffs[-1]}", f"coverage@{result.headline}"]


def text_table(result: Result) -> list[str]:
    """Lines of the table as a terminal shows it, one filter after the other."""
    metrics = shown_metrics(result)
    width = max(len(name) for name in result.systems)
    lines = []
    for kind in FILTERS:
        lines.append(f"{FILTER_WORDS[kind]}, {result.users} users")
        lines.append("  ".join([" " * width, *(f"{metric_short(metric):>8}" for metric in metrics)]).rstrip())
        for name, by_filter in result.systems.items():
            values = by_filter[kind].metrics
            lines.append("  ".join([f"{name:<{width}}", *(f"{values[metric]:8.4f}" for metric in metrics)]))
    return lines


def markdown(result: Result, about: About) -> str:
    """The Markdown report: what was evaluated, one table a filter with intervals, stage times."""
    metrics = shown_metrics(result)
    lines = [
        f"# Evaluation of `{about.run}`",
        "",
        f"{result.users:,} users, {about.counts['items']:,} items, one held-out item a user, "
        "ranked over the whole catalogue. "
        "Brackets: 95% intervals by paired bootstrap over users. Bold: best of the column.",
    ]
    for kind in FILTERS:
        lines += ["", f"## {FILTER_WORDS[kind].capitalize()}", ""]
        lines += [
            f"| system | {' | '.join(metric_short(metric) for metric in metrics)} |",
            "|---|" + "---:|" * len(metrics),
        ]
        for name, by_filter in result.systems.items():
            cells = []
            for metric in metrics:
                value = f"{by_filter[kind].metrics[metric]:.4f}"
                best = result.is_best(name, metric, kind)
                low_high = by_filter[kind].intervals.get(metric)
                interval = f" [{low_high[0]:.4f}, {low_high[1]:.4f}]" if low_high else ""
                cells.append((f"**{value}**" if best else value) + interval)
            lines.append(f"| `{name}` | {' | '.join(cells)} |")
    lines += ["", "## Stage times", "", "| stage | seconds |", "|---|---:|"]
    lines += [f"| {stage} | {seconds:.0f} |" for stage, seconds in about.stage_seconds.items()]
    lines += ["", f"Fingerprint of what was evaluated: `{about.fingerprint}`. Seed {result.seed}.", ""]
    return "\n".join(lines)

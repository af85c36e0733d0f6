"""The report as one self-contained HTML page: no script, no font, no image from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from semconv.evaluation.about import About
from semconv.evaluation.charts import Dots, Line, bar_chart, dot_chart, line_chart
from semconv.evaluation.code_map import CodeMap
from semconv.evaluation.examples import TOP, Example
from semconv.evaluation.html import details, document, facts_table, figure
from semconv.evaluation.labels import metric_label, system_family, system_label
from semconv.evaluation.page_tables import html_table, signed_range
from semconv.evaluation.rankings import FILTERS
from semconv.evaluation.refit import Refit
from semconv.evaluation.results import Result
from semconv.evaluation.seeds import Seeds
from semconv.evaluation.slices import Slices
from semconv.evaluation.tables import (
    FILTER_WORDS,
    REFIT_WORDS,
    accuracy_metrics,
    beyond_metrics,
    each_baseline_table,
    refit_table,
    seed_table,
    significance_table,
    slice_tables,
    system_table,
)

HISTORY_SHOWN = 8
DASHES = ("", "second", "third", "fourth", "fifth", "sixth", "seventh")


def page(
    result: Result,
    slices: Slices,
    about: About,
    examples: Sequence[Example],
    codes: CodeMap,
    seeds: Seeds | None = None,
    refit: Refit | None = None,
) -> str:
    """The whole page. Every text that comes from data is escaped."""
    sections = [
        _head(result, about),
        _systems(result),
        _significance(result),
        _seeds(seeds),
        _refit(refit),
        _curves(result),
        _slices(slices),
        _beyond(result),
        _training(about),
        _codes(codes),
        _stages(about),
        _users(examples),
        _run(result, about),
    ]
    return document(f"Evaluation of {about.run}", sections)


def looks(systems: Iterable[str]) -> dict[str, str]:
    """Style-sheet classes of every system: a colour by family, a dash by its place within the family."""
    chosen: dict[str, str] = {}
    placed: dict[str, int] = {}
    for name in systems:
        family = system_family(name)
        chosen[name] = f"{family} {DASHES[placed.get(family, 0) % len(DASHES)]}".strip()
        placed[family] = placed.get(family, 0) + 1
    return chosen


def _head(result: Result, about: About) -> str:
    keys = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{value}</dd></div>"
        for name, value in (
            ("Users tested", f"{result.users:,}"),
            ("Items in the catalogue", f"{about.counts['items']:,}"),
            ("Interactions", f"{about.counts['interactions']:,}"),
            ("Systems compared", f"{len(result.systems)}"),
        )
    )
    return (
        f'<p class="eyebrow">Evaluation</p><h1>{escape(about.run)}</h1>'
        f'<p class="lead">{_lead(result)}</p><dl class="keys">{keys}</dl>'
    )


def _lead(result: Result) -> str:
    asked = (
        "Every test user&rsquo;s next item was held out, and each system ranked the whole catalogue to find it. "
        f"A hit is that very item among the first {result.headline}."
    )
    lead = result.lead
    if lead is None:
        return asked
    value = result.systems[lead.first]["filtered"].metrics[lead.metric]
    return (
        f"{asked} <strong>{escape(system_label(lead.first))}</strong> ranks best with seen items removed: "
        f"{metric_label(lead.metric)} {value:.4f}, which is {lead.difference:.4f} above "
        f"{escape(system_label(lead.second))} (95% interval {signed_range(lead.low, lead.high)}, "
        f"{'p' if lead.p < 0.05 else 'not significant, p'}&nbsp;=&nbsp;{lead.p:.3f})."
    )


def _systems(result: Result) -> str:
    look = looks(result.systems)
    charts = "".join(
        figure(
            f"<strong>{metric_label(metric)}</strong>, with 95% interval",
            dot_chart(
                metric_label(metric),
                [
                    Dots(
                        system_label(name),
                        [
                            (by_filter[kind].metrics[metric], *by_filter[kind].intervals[metric], kind == "filtered")
                            for kind in FILTERS
                        ],
                        look[name],
                    )
                    for name, by_filter in result.systems.items()
                ],
            ),
        )
        for metric in (f"recall@{result.headline}", f"ndcg@{result.headline}")
    )
    tables = "".join(
        html_table(system_table(result, kind, accuracy_metrics(result), FILTER_WORDS[kind].capitalize()))
        for kind in FILTERS
    )
    return (
        "<h2>How well each system ranks</h2>"
        "<p>Filled marks: items of the user&rsquo;s history are removed before ranking. Rings: they are kept. "
        "Intervals are the middle 95% of bootstrap resamples of the users, the same resamples for every system.</p>"
        f'<div class="pair">{charts}</div>{tables}'
    )


def _significance(result: Result) -> str:
    table = significance_table(result)
    if table is None:
        return ""
    return (
        "<h2>Which differences are real</h2>"
        "<p>The strongest baseline is the one with the best NDCG, seen items removed. "
        "Both systems of a row are measured on the same "
        "resamples of the users. Bold: p &lt; .05, not corrected for the number of rows.</p>"
        + "".join(html_table(found) for found in (table, each_baseline_table(result)) if found is not None)
    )


def _seeds(seeds: Seeds | None) -> str:
    if seeds is None:
        return ""
    tables = "".join(html_table(seed_table(seeds, kind)) for kind in FILTERS)
    return (
        "<h2>How much is luck of the seed</h2><p>The whole job with every seed: mean and standard deviation, below "
        f"them the least and the largest.</p>{tables}"
    )


def _refit(refit: Refit | None) -> str:
    if refit is None:
        return ""
    tables = "".join(html_table(refit_table(refit, kind)) for kind in FILTERS)
    return f"<h2>Refitted</h2><p>{REFIT_WORDS}</p>{tables}"


def _slices(slices: Slices) -> str:
    parts = [
        f"<h3>Users {escape(dimension)}</h3>{''.join(map(html_table, tables))}"
        for dimension, tables in slice_tables(slices)
    ]
    return f"<h2>For whom each system works</h2><p>Seen items removed.</p>{''.join(parts)}"


def _beyond(result: Result) -> str:
    tables = "".join(
        html_table(system_table(result, kind, beyond_metrics(result), FILTER_WORDS[kind].capitalize()))
        for kind in FILTERS
    )
    return (
        "<h2>Beyond accuracy</h2>"
        "<p>Coverage: share of the catalogue that somebody is shown. Gini: how unevenly items are shown, 0 for evenly. "
        "Novelty: bits of surprise of an item, by its share of training. Diversity: mean cosine distance between the "
        f"texts of a list&rsquo;s items. None is better for being larger.</p>{tables}"
    )


def _curves(result: Result) -> str:
    look = looks(result.systems)
    charts = "".join(
        figure(
            f"<strong>{FILTER_WORDS[kind].capitalize()}</strong>: share of users whose item is among the first k",
            line_chart(
                f"Recall at k, {FILTER_WORDS[kind]}",
                [
                    Line(system_label(name), list(enumerate(by_filter[kind].curve, 1)), look[name])
                    for name, by_filter in result.systems.items()
                ],
                x_label="k, items shown",
                x_ticks=[1, *result.cutoffs] if result.cutoffs[0] > 1 else result.cutoffs,
            ),
        )
        for kind in FILTERS
    )
    return f'<h2>Recall by length of the list</h2><div class="pair">{charts}</div>'


def _training(about: About) -> str:
    across = "step" if about.curves and all("step" in point for point in about.curves) else "epoch"
    charts = []
    for metric in sorted({name for point in about.curves for name in point} - {"step", "epoch"}):
        points = [(point[across], point[metric]) for point in about.curves if metric in point and across in point]
        if not points or (metric != "loss" and "loss" not in metric and "@" not in metric):
            continue
        what = "training loss" if metric == "loss" else f"{metric} on validation" if "@" in metric else metric
        chart = line_chart(
            what, [Line(f"{points[-1][1]:.4g}", points, "generative")], x_label=across, from_zero="loss" not in metric
        )
        charts.append(figure(f"<strong>{escape(what[0].upper() + what[1:])}</strong>", chart))
    if about.encoder_curves:
        look = looks(about.encoder_curves)
        lines = [Line(system_label(name), points, look[name]) for name, points in about.encoder_curves.items()]
        what = "NDCG@10 of the behaviour encoders on validation"
        charts.append(figure(f"<strong>{what}</strong>", line_chart(what, lines, x_label="epoch", from_zero=True)))
    if not charts:
        return ""
    return f'<h2>How the models learned</h2><div class="pair">{"".join(charts)}</div>'


def _codes(codes: CodeMap) -> str:
    return (
        "<h2>What the codes stand for</h2><p>Items of one colour share their first code. Those that lie together are "
        f'alike in what the codes were fitted on.</p><div class="pair">{codes.figure("Map of items")}</div>'
    )


def _stages(about: About) -> str:
    if not about.stage_seconds:
        return ""
    bars = [(stage, seconds, _duration(seconds)) for stage, seconds in about.stage_seconds.items()]
    total = _duration(sum(about.stage_seconds.values()))
    chart = figure(f"<strong>Time of each stage</strong>, {total} in all", bar_chart("Time of each stage", bars))
    return f'<h2>What it took</h2><div class="pair">{chart}</div>'


def _users(examples: Sequence[Example]) -> str:
    if not examples:
        return ""
    return (
        "<h2>Example users</h2><p>Drawn at random from the test users; known by their row number, not their id. "
        f"Each list holds a system&rsquo;s first {TOP} items, with the user&rsquo;s own removed. "
        "The item that was held out is marked where a system found it.</p>"
        + "".join(_user(example, place == 0) for place, example in enumerate(examples))
    )


def _user(example: Example, unfolded: bool) -> str:
    recent = list(reversed(example.history))[:HISTORY_SHOWN]
    earlier = len(example.history) - len(recent)
    more = f"<li>and {earlier} earlier</li>" if earlier else ""
    history = "".join(f"<li>{escape(title)}</li>" for title in recent) or "<li>empty</li>"
    columns = [f'<div class="history"><h4>History, latest first</h4><ol>{history}{more}</ol></div>']
    for name, top in example.tops.items():
        items = "".join(
            f'<li class="hit">{escape(t)} &#10003;</li>' if hit else f"<li>{escape(t)}</li>" for t, hit in top
        )
        columns.append(
            f'<div><h4 class="{system_family(name)}">{escape(system_label(name))}</h4><ol>{items}</ol></div>'
        )
    found = f"found by {len(example.found_by)} of {len(example.tops)} systems"
    return (
        f'<article class="user"><details{" open" if unfolded else ""}><summary>User {example.user:,}, held out: '
        f'<strong>{escape(example.target)}</strong> <span class="note">{found}</span></summary>'
        f'<div class="columns">{"".join(columns)}</div></details></article>'
    )


def _run(result: Result, about: About) -> str:
    facts = [("seed", str(result.seed)), *((name, f"{value:,}") for name, value in about.counts.items())]
    return (
        "<h2>What was run</h2>"
        + facts_table(facts)
        + details("Fingerprints", [("all of it", about.fingerprint), *about.fingerprints.items()])
        + details("Settings", [(name, "none" if v is None else str(v)) for name, v in about.settings.items()])
        + details("Versions", list(about.versions.items()))
    )


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"

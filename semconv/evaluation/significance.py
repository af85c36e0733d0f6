"""Which systems beat those they mean to beat, and how sure that is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from semconv.evaluation.aliases import GENERATIVE
from semconv.evaluation.paired import Comparison, Paired

CONVERGED = "converged"
PARTNERS = "converged_without_generative"
EACH = f"{CONVERGED}_vs_each_baseline"

Significance = Mapping[str, Sequence[Comparison]]
"""Comparisons by name, ``SYSTEM_vs_best_baseline`` for one; of each, one a metric, the metric that decides first."""


def is_baseline(system: str) -> bool:
    """Whether it is a system to beat: neither a generative model nor anything converged."""
    return system != GENERATIVE and not system.startswith((f"{GENERATIVE}_", CONVERGED))


def best_baseline(paired: Paired, metric: str) -> str | None:
    """The baseline with the highest ``metric``; the first of equals; None where there is no baseline."""
    return max(_baselines(paired), key=lambda system: paired.value(system, metric), default=None)


def significance(paired: Paired, headline: int) -> dict[str, list[Comparison]]:
    """Every system against the best baseline by NDCG at ``headline``, in NDCG and Recall; the baseline itself left out.

    And `CONVERGED` against `PARTNERS`, the same blend without the generative model, where there are both.
    """
    metrics = _deciding(headline)
    pairs: dict[str, tuple[str, str]] = {}
    best = best_baseline(paired, metrics[0])
    if best is not None:
        pairs = {f"{system}_vs_best_baseline": (system, best) for system in paired.systems if system != best}
    if {CONVERGED, PARTNERS} <= set(paired.systems):
        pairs[f"{CONVERGED}_vs_{PARTNERS}"] = (CONVERGED, PARTNERS)
    return {name: [paired.compare(*pair, metric) for metric in metrics] for name, pair in pairs.items()}


def each_baseline(paired: Paired, headline: int) -> dict[str, list[Comparison]]:
    """`CONVERGED` against every baseline, by the baseline's name, in the same metrics; empty where it is not there.

    The baseline that is strongest in one metric need not be so in the other.
    """
    if CONVERGED not in paired.systems:
        return {}
    metrics = _deciding(headline)
    return {other: [paired.compare(CONVERGED, other, metric) for metric in metrics] for other in _baselines(paired)}


def contract(found: Significance, each: Significance) -> dict[str, Any]:
    """As in ``metrics.json``: what `significance` found, flat for the metric that decides and all metrics under
    ``all``; what `each_baseline` found, by baseline, then by metric.
    """
    content: dict[str, Any] = {
        name: {
            "metric": comparisons[0].metric,
            "baseline": comparisons[0].second,
            **_figures(comparisons[0]),
            "all": _by_metric(comparisons),
        }
        for name, comparisons in found.items()
    }
    if each:
        content[EACH] = {baseline: _by_metric(comparisons) for baseline, comparisons in each.items()}
    return content


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for their number by Holm's step-down method (Holm 1979), in the order given.

    Those below a level may all be called real with at most that chance of a single false one among them.
    """
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    corrected = [0.0] * len(p_values)
    least = 0.0
    for step, place in enumerate(order):
        least = max(least, min(1.0, (len(p_values) - step) * p_values[place]))
        corrected[place] = least
    return corrected


def _baselines(paired: Paired) -> list[str]:
    return [system for system in paired.systems if is_baseline(system)]


def _deciding(headline: int) -> tuple[str, str]:
    return f"ndcg@{headline}", f"recall@{headline}"


def _by_metric(comparisons: Sequence[Comparison]) -> dict[str, dict[str, float]]:
    return {comparison.metric: _figures(comparison) for comparison in comparisons}


def _figures(comparison: Comparison) -> dict[str, float]:
    return {name: getattr(comparison, name) for name in ("difference", "low", "high", "p")}

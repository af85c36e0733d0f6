"""How far the figures of one job lie apart when everything random in it is drawn anew."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from semconv.errors import ArtifactError
from semconv.evaluation.rankings import FILTERS, Filter
from semconv.evaluation.results import Result


@dataclass(frozen=True)
class Seeds:
    """Figures of every system by filter and metric, one a seed, in the order of ``seeds``."""

    seeds: tuple[int, ...]
    values: dict[str, dict[Filter, dict[str, tuple[float, ...]]]]

    @classmethod
    def of(cls, result: Result, others: Mapping[int, Mapping[str, Any]]) -> Seeds:
        """A result beside the content of ``metrics.json`` of other seeds: recall and NDCG at the headline cut-off.

        Raises `ArtifactError` when another seed lacks a system or asked other users.
        """
        metrics = (f"recall@{result.headline}", f"ndcg@{result.headline}")
        for seed, found in others.items():
            require_alike(result, found, f"The report with seed {seed}")
        values = {
            name: {
                kind: {
                    metric: (
                        by_filter[kind].metrics[metric],
                        *(float(found["systems"][name][kind]["metrics"][metric]) for found in others.values()),
                    )
                    for metric in metrics
                }
                for kind in FILTERS
            }
            for name, by_filter in result.systems.items()
        }
        return cls((result.seed, *others), values)

    def contract(self) -> dict[str, Any]:
        """As ``metrics.json`` tells it: mean, standard deviation (of a sample) and the value of each seed."""
        systems = {
            name: {
                kind: {
                    metric: {"mean": mean_of(of), "deviation": deviation_of(of), "values": list(of)}
                    for metric, of in by_metric.items()
                }
                for kind, by_metric in by_filter.items()
            }
            for name, by_filter in self.values.items()
        }
        return {"seeds": list(self.seeds), "systems": systems}


def require_alike(result: Result, found: Mapping[str, Any], whose: str) -> None:
    """Raise `ArtifactError` where the content of another ``metrics.json`` lacks a system or asked other users."""
    missing = result.systems.keys() - found["systems"].keys()
    if missing or found["users"] != result.users:
        told = f"lacks {', '.join(sorted(missing))}" if missing else f"asked {found['users']:,} users"
        raise ArtifactError(f"{whose} {told}", "Run pipelines.run, which makes it anew")


def mean_of(values: tuple[float, ...]) -> float:
    """Their mean."""
    return float(np.mean(values))


def deviation_of(values: tuple[float, ...]) -> float:
    """Their standard deviation as a sample."""
    return float(np.std(values, ddof=1))

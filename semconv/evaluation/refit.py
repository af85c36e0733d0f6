"""What the same job reaches when it is trained once more, on what validates as well."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from semconv.evaluation.rankings import FILTERS, Filter
from semconv.evaluation.results import Result
from semconv.evaluation.seeds import require_alike


@dataclass(frozen=True)
class Refit:
    """Figures of every system by filter and metric: as chosen, and refitted."""

    values: dict[str, dict[Filter, dict[str, tuple[float, float]]]]

    @classmethod
    def of(cls, result: Result, refitted: Mapping[str, Any]) -> Refit:
        """A result beside the content of the refitted job's ``metrics.json``: recall and NDCG at the headline cut-off.

        Raises `ArtifactError` when that lacks a system or asked other users.
        """
        require_alike(result, refitted, "The report of the refitted job")
        metrics = (f"recall@{result.headline}", f"ndcg@{result.headline}")
        return cls(
            {
                name: {
                    kind: {
                        metric: (
                            by_filter[kind].metrics[metric],
                            float(refitted["systems"][name][kind]["metrics"][metric]),
                        )
                        for metric in metrics
                    }
                    for kind in FILTERS
                }
                for name, by_filter in result.systems.items()
            }
        )

    def contract(self) -> dict[str, Any]:
        """As ``metrics.json`` tells it: the refitted figures alone, the others stand beside it."""
        systems = {
            name: {
                kind: {metric: refitted for metric, (_, refitted) in by_metric.items()}
                for kind, by_metric in by_filter.items()
            }
            for name, by_filter in self.values.items()
        }
        return {"systems": systems}

"""Where every input row went: kept, quarantined or filtered, by reason; the sum is asserted."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Ledger:
    """Counts of one table's rows. ``quarantined`` rows are invalid; ``filtered`` ones are valid but not wanted."""

    table: str
    rows: int = 0
    quarantined: Counter[str] = field(default_factory=Counter)
    filtered: Counter[str] = field(default_factory=Counter)

    def filter(self, reason: str, rows: int) -> None:
        """Count rows left out by a setting."""
        if rows:
            self.filtered[reason] += rows

    def quarantine(self, reason: str, rows: int) -> None:
        """Count rows refused as invalid."""
        if rows:
            self.quarantined[reason] += rows

    def close(self, kept: int) -> dict[str, Any]:
        """The counts as the manifest holds them; raises `AssertionError` unless rows in = kept + left out."""
        quarantined, filtered = self.quarantined.total(), self.filtered.total()
        if self.rows != kept + quarantined + filtered:
            raise AssertionError(
                f"{self.table}: {self.rows} rows in, but {kept} kept + {quarantined} quarantined + {filtered} filtered"
            )
        return {
            "rows": self.rows,
            "kept": kept,
            "quarantined": dict(sorted(self.quarantined.items())),
            "filtered": dict(sorted(self.filtered.items())),
        }


def sentence(table: str, counts: dict[str, Any]) -> str:
    """Such counts as one line for a person."""

    def part(name: str) -> str:
        reasons = counts[name]
        detail = ", ".join(f"{reason} {rows:,}" for reason, rows in reasons.items())
        return f"{sum(reasons.values()):,} {name}" + (f" ({detail})" if detail else "")

    return f"{table}: {counts['rows']:,} rows in = {counts['kept']:,} kept + {part('quarantined')} + {part('filtered')}"

"""Report: how well every system of a run recommends, for programs and for people.

metrics.json     users, seed, fingerprint, stage_seconds, systems.<name>.<filtered|unfiltered>.metrics and .intervals,
                 aliases (names among them that stand for another), significance, slices, and where there are
                 any, figures with other seeds
ranks.parquet    one row a test user: user int64 (index in the corpus), target int32, and for every
                 <name>.<filtered|unfiltered> the rank of the target int32, 0 where it was not recommended
report.md        the tables
index.html       one self-contained page
"""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from semconv.artifacts.artifact import Artifact

METRICS = "metrics.json"
RANKS = "ranks.parquet"
MARKDOWN = "report.md"
PAGE = "index.html"


class Report(Artifact):
    """See the module's own text for the layout."""

    kind = "report"

    @cached_property
    def metrics(self) -> dict[str, Any]:
        """The content of ``metrics.json``."""
        return dict(json.loads((self.path / METRICS).read_text()))

    @property
    def aliases(self) -> dict[str, str]:
        """The system behind each name that is only another one for it."""
        return dict(self.metrics.get("aliases", {}))

    @cached_property
    def ranks(self) -> pa.Table:
        """Every test user's hit ranks, from which any two reports on the same users can be compared."""
        return pq.read_table(self.path / RANKS)

    @property
    def page(self) -> Path:
        """The HTML page."""
        return self.path / PAGE

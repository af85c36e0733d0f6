"""Histories asked about without a pause: what the live model answers, and of which version."""

from __future__ import annotations

from pathlib import Path

import httpx

from semconv.artifacts import Run, TopKSnapshot
from semconv.config.serve import VariantSettings
from serve.args import Variants
from serve.experiments import MAIN
from serve.models import Models
from serve.questions import LiveQuestion
from serve.rankers import open_ranker
from tests.e2e.load import K, Lists, Load

EVERY = 8
"""Of so many items one is asked about, as a history of its own."""


class HistoryLoad(Load):
    """Each must get the list that the model behind the named snapshot ranks in this process; nothing else will do."""

    def __init__(self, url: str, cache: Path, *runs: Run) -> None:
        """``cache``: for copies of the runs' snapshots."""
        self._cache = cache
        snapshots = [TopKSnapshot.open(run.artifact(TopKSnapshot.kind)) for run in runs]
        self._runs = {snapshot.fingerprint: run for snapshot, run in zip(snapshots, runs, strict=True)}
        super().__init__(url, *snapshots, connections=1)

    def _right(self, snapshot: TopKSnapshot) -> Lists:
        variant = VariantSettings(name=MAIN, run=str(self._runs[snapshot.fingerprint].path.absolute()))
        models = Models(self._cache, open_ranker)
        models.open(Variants(variants=(variant,)).as_json())
        model = models.of(snapshot.fingerprint)
        right = {}
        for item in range(0, snapshot.n_items, EVERY):
            (ranked,) = model.rank([LiveQuestion(snapshot.fingerprint, (item,), K)])
            right[snapshot.item(item).item_id] = [snapshot.item(one).item_id for one in ranked.items]
        return right

    def _request(self, client: httpx.Client, asked: str) -> httpx.Response:
        return client.post("/v1/recommendations", json={"history": [asked], "k": K})

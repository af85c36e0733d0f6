"""The whole job learns: on a shop with a structure worth learning, the aligned model is far from chance."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pipelines.run import run
from semconv.artifacts import Run
from semconv.cli import load_settings
from tests.conftest import REPOSITORY


def test_the_aligned_model_ranks_better_than_popularity_and_chance(tmp_path: Path) -> None:
    run(load_settings(["--config", str(REPOSITORY / "tests" / "learnable.yaml"), "--run.root", str(tmp_path)]))
    report = Run(str(tmp_path), "learnable").artifact("report")
    systems: dict[str, Any] = json.loads((report / "metrics.json").read_text())["systems"]
    recall = {name: system["filtered"]["metrics"]["recall@10"] for name, system in systems.items()}
    interval = {name: system["filtered"]["intervals"]["recall@10"] for name, system in systems.items()}
    for worse in ("popularity", "random"):
        assert interval["generative_compact"][0] > interval[worse][1], recall
    assert recall["popularity"] > 0

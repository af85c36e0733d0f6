"""The ablation adds one family at a time and asks each model what it has learned."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from benchmarks.task_ablation import WEIGHT, measure, variants
from semconv.errors import SettingError
from tests.unit.alignment.full_shop import write_full_shop


def test_every_family_comes_on_top_of_those_before() -> None:
    found = variants("tokens")
    assert list(found) == ["sequential", "+ textual", "+ query", "+ negative", "+ preference"]
    assert [found["+ query"].textual, found["+ query"].query, found["+ query"].negative] == [WEIGHT, WEIGHT, 0.0]
    assert list(variants("compact")) == ["sequential", "+ textual", "+ query"]


def test_a_variant_is_trained_and_probed(tmp_path: Path) -> None:
    write_full_shop(tmp_path / "r")
    asked = {"run": tmp_path / "r", "spelling": "compact", "epochs": 1, "seeds": 2, "users": 20, "quick": False}
    found = measure(argparse.Namespace(**asked, only=["+ textual"]))["variants"]["+ textual"]
    assert len(found["recall@10_by_seed"]) == 2
    assert found["recall@10"] == pytest.approx(sum(found["recall@10_by_seed"]) / 2)
    assert "title_to_item, held-out items, recall@10" in found["probes"]
    with pytest.raises(SettingError, match="no variant everything"):
        measure(argparse.Namespace(**asked, only=["everything"]))

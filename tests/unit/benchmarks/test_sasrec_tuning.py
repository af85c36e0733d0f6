"""The search fits what it says, and keeps the best of what it tried."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.sasrec_tuning import measure
from tests.unit.alignment.full_shop import write_full_shop


def test_the_best_of_each_setting_is_kept(tmp_path: Path) -> None:
    write_full_shop(tmp_path / "r")
    found = measure(argparse.Namespace(run=tmp_path / "r", workers=1, quick=True))
    tried = found["tried"]
    assert tried.keys() == {"defaults", '{"dropout": 0.5}'}
    assert found["chosen"] == max(tried, key=lambda label: tried[label]["ndcg@10"])
    for reached in tried.values():
        assert 0 <= reached["ndcg@10"] <= reached["recall@10"] <= 1
        assert reached["epoch"] in (1, 2)

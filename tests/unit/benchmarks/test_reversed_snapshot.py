"""The snapshot that a swap is measured with: every list is another, and scores tell which."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks import reversed_snapshot
from benchmarks.reversed_snapshot import write_reversed
from semconv.artifacts import Run
from tests.unit.artifacts.shop_snapshot import USERS, answer, write_snapshot


class Nothing:
    """An artifact that the lists do not depend on."""

    kind = "nothing"

    @staticmethod
    def open(_path: Path) -> str:
        return "its fingerprint"


def test_every_list_is_the_first_ones_from_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("Corpus", "ItemTokens", "Recommender"):
        monkeypatch.setattr(reversed_snapshot, name, Nothing)
    snapshot = write_snapshot(tmp_path / "topk", USERS)
    other = write_reversed(snapshot, Run(str(tmp_path), "run"), tmp_path / "other")
    assert other.fingerprint != snapshot.fingerprint
    for number, user in enumerate(USERS):
        before, after = snapshot.lookup(user), other.lookup(user)
        assert before is not None
        assert after is not None
        assert after.items.tolist() == answer(number)[0][::-1]
        assert (np.diff(after.scores) > 0).all()
        assert after.history.tolist() == before.history.tolist()
        assert other.stamp(user) == snapshot.stamp(user)

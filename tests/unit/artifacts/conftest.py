"""A snapshot of a small shop, and a store on a local disk to publish it to."""

from __future__ import annotations

from pathlib import Path

import pytest

from semconv.artifacts import SnapshotStore, TopKSnapshot
from tests.unit.artifacts.shop_snapshot import USERS, write_snapshot


@pytest.fixture
def snapshot(tmp_path: Path) -> TopKSnapshot:
    return write_snapshot(tmp_path / "topk", USERS)


@pytest.fixture
def where(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def store(where: Path) -> SnapshotStore:
    return SnapshotStore.open(str(where))

"""The generated snapshot: every user is in it, and looking users up, alone and in two processes, is measured."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import generated_snapshot as generated
from benchmarks.snapshot_scale import shared
from semconv.artifacts import TopKSnapshot


def test_what_is_built_holds_every_user_and_finds_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"ITEMS": 200, "BATCH": 64, "USERS_PER_SHARD": 100, "LOOKUPS": 500, "WARM": 10}.items():
        monkeypatch.setattr(generated, name, value)
    built = generated.build(tmp_path / "topk", 300)
    assert built.keys() == {"build_s", "users"}
    snapshot = TopKSnapshot.open(tmp_path / "topk")
    assert (snapshot.n_users, snapshot.kept, len(list((snapshot.path / "shards").iterdir()))) == (300, 50, 3)
    assert snapshot.user_ids("user-29", 20) == ["user-29", *(f"user-29{digit}" for digit in range(10))]
    found = generated.lookup(tmp_path / "topk")
    assert 0 < found["lookup_p50_us"] <= found["lookup_p99_us"]


def test_readers_of_one_snapshot_share_its_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generated, "ITEMS", 200)
    generated.build(tmp_path / "topk", 20_000)
    gib = sum(file.stat().st_size for file in (tmp_path / "topk").rglob("*.arrow")) / 2**30
    readers = shared(str(tmp_path / "topk"))
    assert readers["processes"] == 2
    assert readers["private_gib"] < readers["shared_once_gib"] < readers["resident_gib"] - gib / 2

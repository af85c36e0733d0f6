"""Bundles: what is opened belongs together and is what was written; users are spread over variants for good."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from semconv.errors import ArtifactError
from serve.bundle import Served, open_bundle
from tests.unit.serve.bakery import LISTS, K, bake


def test_a_bundle_is_opened_with_its_versions(tmp_path: Path) -> None:
    bundle = open_bundle(bake(tmp_path / "run"), tmp_path / "cache")
    assert bundle.run.path == tmp_path / "run"
    assert bundle.versions(bundle.model) == {
        "snapshot": bundle.snapshot.fingerprint,
        "model": bundle.snapshot.manifest.lineage["model"],
        "variant": "main",
    }


def test_without_a_name_the_snapshot_is_the_runs_own(tmp_path: Path) -> None:
    variant = bake(tmp_path / "run")
    own = variant.model_copy(update={"snapshot": None})
    named, unnamed = (open_bundle(one, tmp_path / "cache") for one in (variant, own))
    assert named.snapshot.fingerprint == unnamed.snapshot.fingerprint


def test_a_snapshot_of_another_model_is_refused(tmp_path: Path) -> None:
    variant = bake(tmp_path / "run")
    bake(tmp_path / "other", model="second")
    with pytest.raises(ArtifactError, match="were made from different"):
        open_bundle(variant.model_copy(update={"run": str(tmp_path / "other")}), tmp_path / "cache")


def test_what_has_changed_since_it_was_written_is_refused(tmp_path: Path) -> None:
    variant = bake(tmp_path / "run")
    file = tmp_path / "run" / "topk" / "items.arrow"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(ArtifactError):
        open_bundle(variant, tmp_path / "cache")
    shutil.rmtree(tmp_path / "run" / "topk")
    with pytest.raises(ArtifactError, match="topk"):
        open_bundle(variant, tmp_path / "cache")


def test_what_is_done_to_the_snapshot_while_it_is_served_touches_nobody(tmp_path: Path) -> None:
    variant = bake(tmp_path / "run")
    bundle = open_bundle(variant, tmp_path / "cache")
    for file in (tmp_path / "run" / "topk").rglob("*.arrow"):
        file.write_bytes(b"")
    known = bundle.snapshot.lookup("bob")
    assert known is not None
    assert [bundle.catalogue.name(item)[0] for item in known.items.tolist()] == LISTS["bob"]


def test_each_user_stays_with_a_variant(tmp_path: Path) -> None:
    main = open_bundle(bake(tmp_path / "run"), tmp_path / "cache")
    half = open_bundle(
        bake(tmp_path / "run", name="half").model_copy(update={"name": "half", "share": 0.5}), tmp_path / "cache"
    )
    served = Served({"main": main, "half": half}, {"main": 0.0, "half": 0.5}, "salt")
    chosen = [served.of(f"user {number}").variant for number in range(400)]
    assert chosen == [served.of(f"user {number}").variant for number in range(400)]
    assert 140 < chosen.count("half") < 260
    assert served.main is main
    assert served.k == K


def test_what_an_ingress_replica_imports_holds_neither_torch_nor_ray() -> None:
    asked = "import sys, serve.service, serve.bundle; print({'torch', 'ray', 'transformers'} & set(sys.modules))"
    told = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "set()"

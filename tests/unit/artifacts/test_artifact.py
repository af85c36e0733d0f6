"""Artifacts: opened only when finished, whole and of the right kind; refused by name when lineage disagrees."""

from __future__ import annotations

from pathlib import Path

import pytest

from semconv.artifacts import Artifact, Manifest, check_lineage, finish, request_of, staging
from semconv.errors import ArtifactError


class Grain(Artifact):
    kind = "grain"


class Flour(Artifact):
    kind = "flour"


class Bread(Artifact):
    kind = "bread"


def make(kind: type[Artifact], path: Path, text: str, **inputs: Artifact) -> Artifact:
    with staging(path) as folder:
        (folder / "part").mkdir()
        (folder / "part" / "content").write_text(text)
        finish(folder, kind.kind, settings={}, inputs=inputs, counts={"n": 1}, request="asked", seconds=0.5)
    return kind.open(path)


def test_the_same_content_has_the_same_fingerprint_and_other_content_another(tmp_path: Path) -> None:
    one, two, three = (make(Grain, tmp_path / name, text) for name, text in [("a", "x"), ("b", "x"), ("c", "y")])
    assert one.fingerprint == two.fingerprint != three.fingerprint


def test_an_unfinished_absent_or_foreign_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "half").mkdir()
    make(Flour, tmp_path / "flour", "f")
    with pytest.raises(ArtifactError, match="no manifest"):
        Grain.open(tmp_path / "half")
    with pytest.raises(ArtifactError, match="does not exist"):
        Grain.open(tmp_path / "nowhere")
    with pytest.raises(ArtifactError, match="holds flour, not grain"):
        Grain.open(tmp_path / "flour")


def test_damage_is_seen_on_opening_or_on_verifying(tmp_path: Path) -> None:
    grain = make(Grain, tmp_path / "grain", "wheat")
    grain.verify()
    file = tmp_path / "grain" / "part" / "content"
    file.write_text("wheaT")
    with pytest.raises(ArtifactError, match="is not what was published"):
        Grain.open(tmp_path / "grain").verify()
    file.write_text("whe")
    with pytest.raises(ArtifactError, match="another size"):
        Grain.open(tmp_path / "grain")
    file.unlink()
    with pytest.raises(ArtifactError, match="content is missing"):
        Grain.open(tmp_path / "grain")


def test_a_damaged_manifest_or_another_layout_is_refused(tmp_path: Path) -> None:
    make(Grain, tmp_path / "grain", "wheat")
    manifest = tmp_path / "grain" / "manifest.json"
    whole = manifest.read_text()
    manifest.write_text(whole[: len(whole) // 2])
    with pytest.raises(ArtifactError, match="cannot be read"):
        Grain.open(tmp_path / "grain")
    manifest.write_text(whole.replace('"layout": 1', '"layout": 99'))
    with pytest.raises(ArtifactError, match="layout 99"):
        Grain.open(tmp_path / "grain")


def test_lineage_reaches_through_generations_and_names_both_sides(tmp_path: Path) -> None:
    wheat, rye = make(Grain, tmp_path / "wheat", "wheat"), make(Grain, tmp_path / "rye", "rye")
    flour = make(Flour, tmp_path / "flour", "white", grain=wheat)
    bread = make(Bread, tmp_path / "bread", "loaf", flour=flour)
    check_lineage([wheat, flour, bread])
    with pytest.raises(ArtifactError) as caught:
        check_lineage([bread, rye])
    assert all(word in str(caught.value) for word in ("bread", "rye", "different grain"))


def test_manifest_keeps_inputs_counts_and_versions(tmp_path: Path) -> None:
    grain = make(Grain, tmp_path / "grain", "wheat")
    manifest = make(Flour, tmp_path / "flour", "white", grain=grain).manifest
    assert manifest == Manifest.read(tmp_path / "flour")
    assert (manifest.inputs, manifest.counts) == ({"grain": grain.fingerprint}, {"n": 1})
    assert {"python", "torch", "semconv"} <= manifest.versions.keys()


def test_a_request_changes_with_settings_inputs_and_code() -> None:
    base = request_of("tokens", {"a": 1}, {"corpus": "f"}, 1)
    assert base == request_of("tokens", {"a": 1}, {"corpus": "f"}, 1)
    changed = [({"a": 2}, {"corpus": "f"}, 1), ({"a": 1}, {"corpus": "g"}, 1), ({"a": 1}, {"corpus": "f"}, 2)]
    assert len({base, *(request_of("tokens", *parts) for parts in changed)}) == 4

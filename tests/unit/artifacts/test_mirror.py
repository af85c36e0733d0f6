"""Runs behind a URI: a node's mirror is told by its path, fetches what is published, and publishes what is made."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from semconv.artifacts import Artifact, Run, SnapshotStore, finish, staging
from semconv.artifacts.handover import collect, handing_over
from semconv.artifacts.mirror import is_mirrored, mirror_of, origin, uri_of
from semconv.artifacts.store_files import within
from semconv.config import RunSettings
from semconv.errors import ArtifactError, ResourceError, SettingError

URIS = (
    "s3://bucket/a/b",
    "s3://bucket",
    "gs://bucket/~user/100%/ü b",
    "s3://bucket/shop?scheme=http&region=us-east-1&endpoint_override=127.0.0.1:5000",
)


class Grain(Artifact):
    kind = "grain"


class Node:
    """A machine with a mirror of its own for the run ``r``."""

    def __init__(self, uri: str, mirror: Path) -> None:
        self.run = Run(uri, "r", str(mirror))
        self.grain = self.run.artifact("grain")

    def write(self, content: str, request: str = "asked") -> None:
        """What a stage does before it publishes."""
        with staging(self.grain) as folder:
            (folder / "content").write_text(content)
            (folder / "deep").mkdir()
            (folder / "deep" / "more").write_text(content * 2)
            finish(folder, "grain", settings={}, inputs={}, counts={}, request=request, seconds=0)

    def make(self, content: str) -> None:
        self.write(content)
        self.run.publish("grain")

    def content(self) -> str:
        return (Grain.open(self.grain).path / "content").read_text()


@pytest.fixture
def uri(tmp_path: Path) -> str:
    return f"file://{tmp_path}/bucket/runs"


@pytest.fixture
def here(uri: str, tmp_path: Path) -> Node:
    return Node(uri, tmp_path / "here")


@pytest.fixture
def there(uri: str, tmp_path: Path) -> Node:
    return Node(uri, tmp_path / "there")


@pytest.mark.parametrize("uri", URIS)
def test_a_path_in_a_mirror_tells_its_uri(uri: str, tmp_path: Path) -> None:
    run = Run(uri, "r", str(tmp_path))
    root, separator, query = uri.partition("?")
    assert run.path.is_relative_to(tmp_path)
    assert uri_of(run.artifact("corpus")) == f"{root}/r/corpus{separator}{query}"
    assert is_mirrored(run.artifact("corpus"))
    assert not is_mirrored(run.private("align"))
    assert Run.at(run.where).path == Run(uri, "r").path
    assert within(uri, "releases") == f"{root}/releases{separator}{query}"
    assert mirror_of(uri).parent == Run(uri, "r").path.parent.parent


def test_a_run_on_a_local_disk_is_in_no_mirror(tmp_path: Path) -> None:
    run = Run.of(RunSettings(root=str(tmp_path), name="r", mirror=str(tmp_path / "mirror")))
    assert run.path == tmp_path / "r" == Run.at(str(tmp_path / "r")).path
    assert origin(run.artifact("corpus")) is None
    assert run.publish("corpus") is False
    assert run.manifest("corpus") is None
    assert run.shown == run.where == str(run.path)
    assert not run.exists()


def test_uris_that_cannot_be_mirrored_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"run\.root is too long"):
        Run(f"s3://bucket/{'deep/' * 60}", "r")
    with pytest.raises(SettingError, match="carries a name or a key") as caught:
        Run("s3://name:hidden@bucket/runs", "r", str(tmp_path)).manifest("corpus")
    assert "hidden" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_what_one_node_publishes_another_fetches_once(here: Node, there: Node) -> None:
    assert not there.run.exists()
    with pytest.raises(ArtifactError, match=r"bucket/runs/r/grain is not published"):
        there.content()
    here.make("wheat")
    assert there.run.exists()
    assert there.content() == "wheat"
    assert Grain.open(there.grain).manifest == Grain.open(here.grain).manifest
    Grain.open(there.grain).verify()
    first = (there.grain / "content").stat().st_ino
    assert there.content() == "wheat"
    assert (there.grain / "content").stat().st_ino == first


def test_a_description_fetches_no_file(here: Node, there: Node) -> None:
    with pytest.raises(ArtifactError, match="is not published"):
        Grain.described(there.grain)
    here.make("wheat")
    assert Grain.described(there.grain).fingerprint == Grain.open(here.grain).fingerprint
    manifest = there.run.manifest("grain")
    assert manifest is not None
    assert manifest.request == "asked"
    assert not there.grain.exists()


def test_an_outdated_or_shortened_copy_is_fetched_anew(here: Node, there: Node) -> None:
    here.make("wheat")
    there.content()
    here.make("rye")
    assert there.content() == "rye"
    (there.grain / "content").write_text("r")
    assert there.content() == "rye"


def test_one_earlier_version_stays_for_its_readers(here: Node, uri: str) -> None:
    for content in ("wheat", "rye", "oats"):
        here.make(content)
    assert len(SnapshotStore.open(f"{uri}/r/grain").versions()) == 2


def test_a_file_of_another_content_is_refused_and_the_copy_stays(here: Node, there: Node) -> None:
    here.make("wheat")
    there.content()
    here.make("rye")
    store = origin(here.grain)
    assert store is not None
    (name,) = [n for n in store.names() if n.endswith("/content") and store.read(n) == b"rye"]
    store.write(name, b"oat")
    with pytest.raises(ArtifactError, match="is not what was published"):
        there.content()
    assert (there.grain / "content").read_text() == "wheat"


def test_killed_in_the_middle_of_an_upload_nothing_is_published_and_the_next_try_publishes_what_was_finished(
    here: Node, there: Node, uri: str, tmp_path: Path
) -> None:
    here.make("wheat")
    here.write("rye", request="another")
    code = (
        "import os, signal; from semconv.artifacts import Run; from semconv.artifacts.store_files import StoreFiles\n"
        "whole = StoreFiles.put\n"
        "def put(files, source, name):\n"
        "    whole(files, source, name); os.kill(os.getpid(), signal.SIGKILL)\n"
        f"StoreFiles.put = put; Run({uri!r}, 'r', {str(tmp_path / 'here')!r}).publish('grain')\n"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == -9
    assert there.content() == "wheat"
    assert here.run.unpublished("grain", "another")
    assert not here.run.unpublished("grain", "asked")
    assert not there.run.unpublished("grain", "another")
    here.run.publish("grain")
    assert there.content() == "rye"


def test_what_a_worker_elsewhere_writes_comes_to_the_driver(here: Node) -> None:
    with staging(here.grain) as folder:
        with handing_over(folder) as out:
            (out / "near").write_text("near")
        assert (folder / "near").read_text() == "near"
        elsewhere = folder.rename(folder.with_name("away"))  # as if this were another node's disk
        with handing_over(folder) as out:
            (out / "deep").mkdir()
            (out / "deep" / "far").write_text("far")
        assert not folder.exists()
        elsewhere.rename(folder)
        collect(folder)
        assert sorted(p.name for p in folder.rglob("*") if p.is_file()) == ["far", "near"]
    left = origin(here.run.path)
    assert left is not None
    assert left.names() == []


def test_a_worker_that_cannot_see_a_local_folder_says_so(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match=r"is not on this node.*a URI"), handing_over(tmp_path / "absent"):
        pass

"""What the doctor says of folders, stores, tokens and keys."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines import doctor_access, doctor_storage
from semconv.artifacts import require_space
from semconv.cli import load_settings
from semconv.config import Settings
from semconv.errors import InputError, ResourceError, SettingError


def settings(*arguments: str) -> Settings:
    return load_settings(list(arguments))


@pytest.fixture(autouse=True)
def _no_cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("RAY_ADDRESS", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


def test_a_corpus_that_is_not_there_or_empty_is_found(tmp_path: Path) -> None:
    assert "built-in" in doctor_storage.corpus(settings("--corpus.reader", "synthetic"))
    with pytest.raises(SettingError, match=r"corpus\.path is not set"):
        doctor_storage.corpus(settings())
    with pytest.raises(InputError, match="no folder"):
        doctor_storage.corpus(settings("--corpus.path", str(tmp_path / "absent")))
    with pytest.raises(InputError, match="is empty"):
        doctor_storage.corpus(settings("--corpus.path", str(tmp_path)))
    (tmp_path / "items.jsonl.gz").touch()
    assert "1 files" in doctor_storage.corpus(settings("--corpus.path", str(tmp_path)))


def test_run_root_is_tried_and_left_as_it_was(tmp_path: Path) -> None:
    inside = tmp_path / "runs" / "deep"
    assert "can be written" in doctor_storage.root(settings("--run.root", str(inside)))
    assert not inside.exists()
    assert list(tmp_path.iterdir()) == []


def test_a_root_at_a_uri_is_tried_there_and_in_the_mirror(tmp_path: Path) -> None:
    (tmp_path / "bucket").mkdir()
    told = ["--run.root", f"file://{tmp_path}/bucket", "--run.mirror"]
    said = doctor_storage.root(settings(*told, str(tmp_path / "mirror")))
    assert f"{tmp_path}/bucket/demo can be written" in said
    assert str(tmp_path / "mirror") in said
    assert [path.name for path in tmp_path.rglob("*")] == ["bucket"]
    with pytest.raises(ResourceError, match=r"/proc/semconv.* cannot be written"):
        doctor_storage.root(settings(*told, "/proc/semconv"))


def test_a_place_that_cannot_be_written_is_found() -> None:
    with pytest.raises(ResourceError, match="/proc/semconv cannot be written") as error:
        doctor_storage.root(settings("--run.root", "/proc/semconv"))
    assert "right to write" in error.value.remedy


def test_a_joined_cluster_needs_an_absolute_root() -> None:
    with pytest.raises(SettingError, match="a relative path"):
        doctor_storage.root(settings("--ray.address", "head:6379"))


def test_a_store_is_tried_and_nothing_secret_is_said(tmp_path: Path) -> None:
    assert "none written" in doctor_storage.stores(settings())
    assert "can be written" in doctor_storage.stores(settings("--precache.store", f"file://{tmp_path}"))
    with pytest.raises(ResourceError) as error:
        doctor_storage.stores(settings("--precache.store", "nowhere://user:hidden@bucket/path?secret=hidden"))
    assert "hidden" not in str(error.value)
    assert "nowhere://bucket/path" in error.value.problem
    for name in ("release.store", "serve.state"):
        with pytest.raises(ResourceError, match="/proc/semconv cannot be written"):
            doctor_storage.stores(settings(f"--{name}", "/proc/semconv"))
    for name in ("snapshot", "release"):
        with pytest.raises(ResourceError, match="There is no"):
            doctor_storage.stores(settings(f"--serve.{name}", f"{tmp_path}/absent#1"))


def test_too_little_disk_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "room for" in doctor_storage.disk(settings("--run.root", str(tmp_path)))
    monkeypatch.setattr(doctor_storage, "require_space", lambda folder, needed: require_space(folder, 2**70))
    with pytest.raises(ResourceError, match="GiB free and about"):
        doctor_storage.disk(settings("--run.root", str(tmp_path)))


def test_a_cluster_started_here_needs_no_token_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "in memory" in doctor_access.token(settings())
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    with pytest.raises(SettingError, match="whoever reaches the cluster"):
        doctor_access.token(settings())


def test_a_joined_cluster_needs_a_token_that_nobody_else_reads(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    joined = settings("--ray.address", "head:6379")
    with pytest.raises(ResourceError, match="There is no token"):
        doctor_access.token(joined)
    file = tmp_path / "home" / ".ray" / "auth_token"
    file.parent.mkdir(parents=True)
    file.write_text("0" * 64)
    file.chmod(0o644)
    with pytest.raises(ResourceError, match="mode 0644") as error:
        doctor_access.token(joined)
    assert error.value.remedy == f"chmod 600 {file}"
    file.chmod(0o600)
    assert doctor_access.token(joined) == f"from {file}"
    monkeypatch.setenv("RAY_AUTH_TOKEN", "0" * 64)
    assert doctor_access.token(joined) == "from RAY_AUTH_TOKEN"


def test_a_service_that_others_reach_needs_keys(tmp_path: Path) -> None:
    assert "loopback" in doctor_access.keys(settings())
    assert "loopback" in doctor_access.keys(settings("--serve.host", "::1"))
    with pytest.raises(SettingError, match=r"serve\.keys names no file"):
        doctor_access.keys(settings("--serve.host", "0.0.0.0"))
    file = tmp_path / "keys.json"
    with pytest.raises(ResourceError, match="no such file"):
        doctor_access.keys(settings("--serve.keys", str(file)))
    file.write_text("[]")
    file.chmod(0o640)
    assert str(file) in doctor_access.keys(settings("--serve.keys", str(file)))
    file.chmod(0o664)
    with pytest.raises(ResourceError, match="others can read or change it"):
        doctor_access.keys(settings("--serve.keys", str(file)))

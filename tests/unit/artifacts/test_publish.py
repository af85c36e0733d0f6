"""Publication: whole or not at all, whatever happens in between."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from semconv.artifacts import require_space, staging
from semconv.errors import ResourceError


def contents(folder: Path) -> dict[str, str]:
    return {p.name: p.read_text() for p in folder.iterdir()}


def test_a_new_version_replaces_the_old_one_whole(tmp_path: Path) -> None:
    target = tmp_path / "tokens"
    for text in ("one", "two"):
        with staging(target) as folder:
            (folder / text).write_text(text)
    assert contents(target) == {"two": "two"}
    assert [p.name for p in tmp_path.iterdir()] == ["tokens"]


def test_an_error_leaves_the_earlier_version_and_no_leftover(tmp_path: Path) -> None:
    target = tmp_path / "tokens"
    with staging(target) as folder:
        (folder / "a").write_text("good")
    with pytest.raises(ValueError, match="broken"), staging(target) as folder:
        (folder / "a").write_text("half")
        raise ValueError("broken")
    assert contents(target) == {"a": "good"}
    assert [p.name for p in tmp_path.iterdir()] == ["tokens"]


def test_a_killed_writer_leaves_nothing_that_looks_finished_and_is_cleared_up(tmp_path: Path) -> None:
    target = tmp_path / "tokens"
    script = (
        "import os, signal; from pathlib import Path; from semconv.artifacts import staging\n"
        f"with staging(Path({str(target)!r})) as folder:\n"
        "    (folder / 'a').write_text('half'); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run([sys.executable, "-c", script])
    assert killed.returncode == -9
    assert not target.exists()
    assert len(list(tmp_path.glob(".tokens.tmp-*"))) == 1
    with staging(target) as folder:
        (folder / "a").write_text("whole")
    assert contents(target) == {"a": "whole"}
    assert [p.name for p in tmp_path.iterdir()] == ["tokens"]


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match="is full"), staging(tmp_path / "tokens"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_may_not_be_written_is_named() -> None:
    with pytest.raises(ResourceError, match="/proc/semconv cannot be written"), staging(Path("/proc/semconv/tokens")):
        pytest.fail("there is nothing to write into")


def test_too_little_space_is_refused_before_the_work(tmp_path: Path) -> None:
    require_space(tmp_path / "not" / "there", 1)
    with pytest.raises(ResourceError, match="GiB free"):
        require_space(tmp_path, 2**70)

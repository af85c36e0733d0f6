"""The commands that a page marks as runnable, run as a reader runs them: in order, in a fresh copy of the repository.

A comment before a fenced block marks it; neither GitHub nor the site shows it:

    <!-- runnable -->                     ends, and ends well
    <!-- runnable, says 'TEXT' -->        its output holds TEXT besides
    <!-- runnable until 'TEXT' -->        stays: the next block comes once it has said TEXT; Ctrl-C ends it, page over
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import psutil

from tests.conftest import BY_HAND, REPOSITORY

MARK = "<!-- runnable"
_BLOCK = re.compile(
    r"^<!-- runnable(?P<until> until)?(?P<says>, says)?(?: '(?P<text>[^']+)')? -->\n+```sh\n(?P<commands>.+?)^```$",
    re.MULTILINE | re.DOTALL,
)
START_S, END_S, POLL_S = 600.0, 90.0, 0.2


class Shown(NamedTuple):
    """One block: its lines, the text that its output has to hold (if any), and whether it stays running."""

    commands: str
    text: str
    stays: bool


def shown_in(page: Path) -> list[Shown]:
    """The marked blocks of a page, in order; raises `AssertionError` where a mark is not as it should be."""
    source = page.read_text(encoding="utf-8")
    blocks = []
    for found in _BLOCK.finditer(source):
        assert bool(found["until"] or found["says"]) == bool(found["text"]), found[0]
        blocks.append(Shown(found["commands"], found["text"] or "", bool(found["until"])))
    assert len(blocks) == source.count(MARK), f"a block of {page.name} is marked in another way"
    return blocks


def fresh_copy(folder: Path) -> Path:
    """The repository as it is, without what git ignores, in ``folder``, after a `make setup`.

    Its environment is that of the tests by links, and marked as ready: to install anything would take a network, and
    would turn the tests' own environment towards the copy.
    """
    ignored = [line.strip("/") for line in (REPOSITORY / ".gitignore").read_text().splitlines()]
    copy = Path(shutil.copytree(REPOSITORY, folder, ignore=shutil.ignore_patterns(".git", *ignored)))
    environment = copy / ".venv"
    environment.mkdir()
    for part in (REPOSITORY / ".venv").iterdir():
        if not part.name.startswith(".ready"):
            (environment / part.name).symlink_to(part)
    (environment / ".ready").touch()
    return copy


def follow(page: Path, copy: Path, log: Path) -> None:
    """Run every marked block of a page in ``copy``, what they print going to ``log``."""
    with ExitStack() as running:
        for block in shown_in(page):
            if block.stays:
                running.enter_context(_staying(block, copy, log))
                continue
            before = _size(log)
            with log.open("a") as stream:
                stream.write(f"$ {block.commands}")
                stream.flush()
                done = subprocess.run(
                    _bash(block), cwd=copy, env=_environment(), stdout=stream, stderr=stream, check=False
                )
            assert done.returncode == 0, log.read_text()[before:]
            assert block.text in log.read_text()[before:].removeprefix(f"$ {block.commands}"), log.read_text()[before:]


@contextmanager
def _staying(block: Shown, copy: Path, log: Path) -> Iterator[None]:
    """The block in the background, from the line that it is waited for to Ctrl-C."""
    before = _size(log)
    with log.open("a") as stream:
        process = subprocess.Popen(
            _bash(block), cwd=copy, env=_environment(), stdout=stream, stderr=stream, start_new_session=True
        )
    family = psutil.Process(process.pid)
    try:
        end = time.monotonic() + START_S
        while block.text not in log.read_text()[before:]:
            assert process.poll() is None, log.read_text()[before:]
            assert time.monotonic() < end, log.read_text()[before:]
            time.sleep(POLL_S)
        yield
    finally:
        if process.poll() is None:
            started = family.children(recursive=True)
            os.killpg(process.pid, signal.SIGINT)
            process.wait(END_S)
            _, left = psutil.wait_procs(started, timeout=END_S)
            assert not left, left


def _size(log: Path) -> int:
    """Characters written so far."""
    return len(log.read_text()) if log.exists() else 0


def _bash(block: Shown) -> list[str]:
    return [*BY_HAND, "bash", "-euo", "pipefail", "-c", block.commands]


def _environment() -> dict[str, str]:
    """What a reader's shell has: nothing of a make, and nothing of the tests' thread limit."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "OMP_"))}

"""Commands run as a person runs them: in their own process, from the repository."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.conftest import REPOSITORY

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def command() -> Command:
    """Run ``python -m MODULE ARGUMENTS`` and give back its exit status and what it printed."""

    def run(module: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", module, *map(str, arguments)],
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            timeout=500,
        )

    return run


@pytest.fixture(scope="session")
def tiny() -> list[str]:
    """Arguments that name the smallest real shop."""
    return ["--config", str(REPOSITORY / "tests" / "tiny.yaml")]

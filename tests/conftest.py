"""Fixtures that every kind of test may use."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from semconv.artifacts import Run
from semconv.cli import load_settings
from semconv.config import Settings

REPOSITORY = Path(__file__).parent.parent
REFERENCE_DATA = REPOSITORY.parent / "shared" / "data"
BY_HAND = ["env", "--default-signal=INT"]
"""Before a command that Ctrl-C is to end: what is itself run in the background hands on that it is to be ignored."""


@pytest.fixture(scope="session")
def reference_data() -> Path:
    """The folder of real data sets beside the checkout; tests that need it skip where there is none."""
    if not REFERENCE_DATA.is_dir():
        pytest.skip("the reference data sets are not beside this checkout")
    return REFERENCE_DATA


def run_module(module: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """``python -m MODULE ARGUMENTS``, as a person runs it: its exit status and what it printed."""
    program = [sys.executable, "-m", module, *map(str, arguments)]
    return subprocess.run(program, cwd=REPOSITORY, capture_output=True, text=True, timeout=500, check=False)


def tool(*names: str) -> str:
    """Path of the first of these programs; without any the test skips on a person's machine and fails in CI."""
    for name in names:
        found = shutil.which(name)
        if found is not None:
            return found
    message = f"{names[0]} is not installed"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """Host and port of an S3-compatible server; buckets keep its users apart."""
    from tests.s3 import serving

    with serving() as started:
        yield started


@pytest.fixture(scope="session")
def tiny_settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings of the smallest real run, in a folder that a session's processes share; several, with TEST_RUNS set."""
    own = tmp_path_factory.getbasetemp()
    shared = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "shared_runs"
    root = Path(os.environ.get("TEST_RUNS") or shared)
    root.mkdir(exist_ok=True)
    return load_settings(["--config", str(REPOSITORY / "tests" / "tiny.yaml"), "--run.root", str(root)])


@pytest.fixture(scope="session")
def tiny_run(tiny_settings: Settings) -> Run:
    """Every artifact of a tiny synthetic shop, made once by the real pipelines; to be read, not to be changed."""
    from pipelines.run import run

    with FileLock(Path(tiny_settings.run.root) / "making.lock"):
        run(tiny_settings)
    return Run(tiny_settings.run.root, tiny_settings.run.name)

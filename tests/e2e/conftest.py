"""Commands run as a person runs them: in their own process, from the repository."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator

import pytest

from semconv.artifacts import Corpus, Run, TopKSnapshot
from tests.conftest import REPOSITORY, run_module
from tests.e2e.other_snapshot import write_reversed
from tests.e2e.served import Service, served

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def command() -> Command:
    """`run_module`."""
    return run_module


@pytest.fixture(scope="session")
def tiny() -> list[str]:
    """Arguments that name the smallest real shop."""
    return ["--config", str(REPOSITORY / "tests" / "tiny.yaml")]


@pytest.fixture(scope="session")
def service(tiny_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The service of the tiny shop behind HAProxy, for all tests that leave it serving what it served."""
    with served(tiny_run, tmp_path_factory.mktemp("service") / "state") as started:
        yield started


@pytest.fixture(scope="session")
def corpus(tiny_run: Run) -> Corpus:
    """What the tiny shop's snapshot was made from."""
    return Corpus.open(tiny_run.artifact("corpus"))


@pytest.fixture(scope="session")
def snapshot(tiny_run: Run) -> TopKSnapshot:
    """What the service serves."""
    return TopKSnapshot.open(tiny_run.artifact("topk"))


@pytest.fixture(scope="session")
def other(tiny_run: Run, snapshot: TopKSnapshot, tmp_path_factory: pytest.TempPathFactory) -> TopKSnapshot:
    """Another snapshot of the same run, in which every list differs."""
    return write_reversed(snapshot, tiny_run, tmp_path_factory.mktemp("other") / "topk")

"""Fixtures of the recommenders' tests."""

from __future__ import annotations

import pytest
from small_run import make_run

from semconv.artifacts import Run


@pytest.fixture(scope="session")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A whole run of tiny artifacts."""
    return make_run(tmp_path_factory.mktemp("recommend"))


@pytest.fixture(scope="session")
def small_token_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The same, its model spelt in tokens."""
    return make_run(tmp_path_factory.mktemp("recommend"), spelling="tokens")

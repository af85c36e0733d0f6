"""Fixtures of the evaluation's tests."""

from __future__ import annotations

import pytest
from small_shop import make_corpus

from semconv.artifacts import Corpus


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """A small corpus with awkward titles."""
    return make_corpus(tmp_path_factory.mktemp("evaluation") / "corpus")

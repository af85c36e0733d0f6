"""Fixtures of the evaluation's tests."""

from __future__ import annotations

import pytest
from small_report import rank
from small_shop import make_corpus

from semconv.artifacts import Corpus
from semconv.evaluation.rankings import Rankings


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """A small corpus with awkward titles."""
    return make_corpus(tmp_path_factory.mktemp("evaluation") / "corpus")


@pytest.fixture(scope="session")
def rankings(corpus: Corpus) -> Rankings:
    """What the systems of small_report say to that corpus's test users."""
    return rank(corpus)

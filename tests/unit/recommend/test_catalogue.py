"""An opened model answers with items of its own catalogue, and no trie of another passes for it."""

from __future__ import annotations

import numpy as np
import pytest

from semconv.artifacts import ItemTokens, Run
from semconv.errors import ArtifactError
from semconv.llm.search import beam_search
from semconv.llm.trie import Trie
from semconv.recommend.load import open_generative


@pytest.mark.parametrize("fixture", ["small_run", "small_token_run"])
def test_a_trie_of_another_catalogue_is_refused(fixture: str, request: pytest.FixtureRequest) -> None:
    run: Run = request.getfixturevalue(fixture)
    model, tokens = open_generative(run, 5).model, ItemTokens.open(run.artifact("tokens"))
    history = [np.array([1, 2], np.int32)]
    assert beam_search(model, Trie.build(tokens.codes, tokens.codes_per_level), history, 5, 5).items.shape == (1, 5)
    others = np.array(tokens.codes)
    others[[0, 1]] = others[[1, 0]]
    assert not np.array_equal(others, tokens.codes)
    with pytest.raises(ArtifactError, match="other codes"):
        beam_search(model, Trie.build(others, tokens.codes_per_level), history, 5, 5)

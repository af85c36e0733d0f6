"""What a search refuses, and what it does not take more memory for."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from table_model import TableModel, brute_force, histories

from semconv.errors import SemconvError, SettingError
from semconv.llm.search import beam_search
from semconv.llm.trie import Trie

ROWS = np.array([[0, 1], [0, 2], [1, 0], [3, 3]], np.int32)


def test_a_scoring_by_another_name_is_refused() -> None:
    with pytest.raises(SettingError, match=r"There is no scoring 'Legal'\. Choose full or legal"):
        beam_search(TableModel(1, 2, 4), Trie.build(ROWS, 4), histories(1), 1, 1, "Legal")  # type: ignore[arg-type]


@pytest.mark.parametrize("scoring", ["full", "legal"])
@pytest.mark.parametrize("value", [torch.inf, torch.nan])
def test_what_is_no_log_probability_is_an_error(scoring: str, value: float) -> None:
    model = TableModel(1, 2, 4)
    model.tables[0][0, 0, 1] = value
    with pytest.raises(SemconvError, match="at level 1 of 2"):
        beam_search(model, Trie.build(ROWS, 4), histories(1), 2, 2, scoring)  # type: ignore[arg-type]


def test_minus_infinity_ranks_last() -> None:
    model = TableModel(1, 2, 4)
    model.tables[0][0, 0, 3] = -torch.inf
    assert beam_search(model, Trie.build(ROWS, 4), histories(1), 4, 4, "full").items[0].tolist()[-1] == 3


def test_more_beams_than_items_cost_what_the_items_do() -> None:
    model, trie = TableModel(2, 2, 4), Trie.build(ROWS, 4)
    seen: list[int] = []
    start = model.start

    def counting(batch: list[np.ndarray], beams: int, *, normalised: bool) -> object:
        seen.append(beams)
        return start(batch, beams, normalised=normalised)

    model.start = counting  # type: ignore[method-assign,assignment]
    found = beam_search(model, trie, histories(2), 6, 10_000)
    assert seen == [4]
    assert found.items.shape == (2, 6)
    for user, items in enumerate(found.items.tolist()):
        assert items[:4] == brute_force(model, user, ROWS, 4, "full")[0]
        assert items[4:] == [-1, -1]

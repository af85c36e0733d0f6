"""Facts of items in words, and the phrases that somebody would search for them with."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from semconv.alignment.facts import Facts
from semconv.alignment.phrases import Phrases, words_of
from semconv.artifacts.corpus import ITEMS
from semconv.llm.small import train_tokenizer
from semconv.llm.vocabulary import PlainText

ROWS: list[dict[str, Any]] = [
    {
        "item_id": "a",
        "title": "Red soap",
        "brand": " Maker ",
        "description": "x" * 900,
        "categories": ["All", " Soap "],
    },
    {"item_id": "b", "title": " ", "brand": None, "description": None, "categories": None},
    {"item_id": "c", "title": "Blue soap", "brand": "", "description": "short", "categories": ["All", ""]},
    {"item_id": "d", "title": None, "brand": "Other", "description": None, "categories": ["All", "Oil", "Oil"]},
]


@pytest.fixture(scope="module")
def facts() -> Facts:
    plain = PlainText(train_tokenizer(["Red soap"], 270))
    return Facts(pa.Table.from_pylist(ROWS, schema=ITEMS), plain, context=128)


def test_what_an_item_has(facts: Facts) -> None:
    assert facts.has("title").tolist() == [True, False, True, False]
    assert facts.has("brand").tolist() == [True, False, False, True]
    assert facts.has("description").tolist() == [True, False, True, False]
    assert facts.has("categories").tolist() == [True, False, True, True]
    assert facts.has("category").tolist() == [True, False, False, True]


def test_words_are_trimmed_and_cut_to_a_number_of_tokens(facts: Facts) -> None:
    assert [facts.text(0, name) for name in ("title", "brand", "categories")] == ["Red soap", "Maker", "All, Soap"]
    assert facts.text(1, "categories") == facts.text(1, "title") == ""
    assert len(facts.ids(0, "description")) == facts.limits["description"] == 32
    assert len(facts.ids(1, "title")) == 0


def test_categories_that_most_items_share_tell_nothing(facts: Facts) -> None:
    assert [facts.telling(item) for item in range(4)] == [["Soap"], [], [], ["Oil"]]


def test_names_are_said_whole_or_not_at_all(facts: Facts) -> None:
    names = ["Red soap", "x" * 20, "y" * 20]
    assert facts.fitting(names) == names[:2]
    assert facts.spell_names(names).tolist() == facts.spell(f"Red soap, {'x' * 20}").tolist()


def test_a_phrase_holds_the_rarest_words_in_their_order() -> None:
    titles = ["gentle red soap with olive oil", "gentle soap with lavender", "gentle blue soap", "soap", None, "a b"]
    phrases = Phrases(titles)
    assert phrases.has().tolist() == [True, True, True, False, False, False]
    found = {phrases.phrase(0, np.random.default_rng(seed)) for seed in range(40)}
    assert found == {"red olive", "red olive oil", "red with olive oil"}
    assert {phrases.phrase(2, np.random.default_rng(seed)) for seed in range(40)} == {
        "gentle blue",
        "gentle blue soap",
    }


def test_words_are_letters_and_digits_of_two_or_more() -> None:
    assert words_of("L'Oréal  X-5 24h, 24H (new_ones)") == ["oréal", "24h", "new", "ones"]

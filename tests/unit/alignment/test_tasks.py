"""What the tasks say and answer, family by family, read back from the finished rows."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from semconv.alignment.builder import Builder, strided
from semconv.alignment.preference import liked
from semconv.alignment.registry import FAMILIES, TASKS, tasks_of, unanswered
from semconv.alignment.task import HISTORY, ITEMS, TITLES, Parts
from semconv.artifacts.ragged import Int32
from semconv.errors import ArtifactError, InputError, SettingError
from semconv.llm.load import load_tokenizer
from semconv.llm.vocabulary import PlainText, name_codes
from semconv.training.align import Inputs
from tests.unit.alignment.full_shop import align, brand_of, builder_of, write_full_shop
from tests.unit.training.tiny_inputs import CODES, ITEM_COUNT, LEVELS, title_of, write_inputs


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    return write_full_shop(tmp_path_factory.mktemp("shop"))


@pytest.fixture(scope="module")
def builder(inputs: Inputs) -> Builder:
    return builder_of(inputs, align("tokens"))


@pytest.fixture(scope="module")
def tokenizer(inputs: Inputs) -> Any:
    tokenizer = load_tokenizer(inputs.base.path)
    name_codes(tokenizer, LEVELS, CODES)
    return tokenizer


def said_by(builder: Builder, name: str, number: int = 60) -> list[Parts]:
    """What so many examples of a task say."""
    task = TASKS[name]
    subjects = task.subjects(builder.shop)
    randoms = [np.random.default_rng(seed) for seed in range(number)]
    return [task.parts(builder.shop, int(subjects[n % len(subjects)]), random) for n, random in enumerate(randoms)]


def items_of(part: Int32 | list[Int32]) -> list[int]:
    return [int(item) for item in part]


def spoken(text: str) -> list[int]:
    """Items whose codes a text says."""
    return [
        sum(int(code) * CODES**level for level, code in enumerate(codes))
        for codes in re.findall(r"<a_(\d)><b_(\d)><c_(\d)>", text)
    ]


@pytest.mark.parametrize("name", TASKS)
def test_every_task_says_all_its_places_and_a_history_is_somebodys(builder: Builder, inputs: Inputs, name: str) -> None:
    task, training = TASKS[name], [row.tolist() for row in inputs.corpus.training()]
    for parts in said_by(builder, name):
        assert set(parts) >= set(task.places)
        assert all(len(parts[place]) for place in task.places if place != TITLES)
        if HISTORY in parts:
            history = items_of(parts[HISTORY])
            after = items_of(parts["item"]) if name != "yes_or_no" and "item" in parts else []
            assert any(history + after == row[: len(history) + len(after)] for row in training)


@pytest.mark.parametrize("name", [task.name for family in ("textual", "query") for task in tasks_of(family, "tokens")])
def test_items_held_out_are_asked_for_in_no_words(builder: Builder, name: str) -> None:
    held_out = set(builder.shop.held_out.tolist())
    assert len(held_out) == 1
    task = TASKS[name]
    asked = {int(np.asarray(parts["item"])[0]) for parts in said_by(builder, name, len(task.subjects(builder.shop)))}
    assert asked
    assert not asked & held_out


def test_titles_of_items_held_out_are_not_said_in_histories(builder: Builder) -> None:
    (held_out,) = builder.shop.held_out.tolist()
    title = builder.shop.facts.ids(held_out, "title").tolist()
    histories = [builder.shop.before(int(place))[0] for place in builder.shop.places()]
    assert any(held_out in history for history in histories)
    for parts in said_by(builder, "titles_to_item", 300):
        assert title not in [said.tolist() for said in parts[TITLES]]


def test_facts_are_answered_in_words_and_words_with_their_item(builder: Builder, tokenizer: Any) -> None:
    seen = Counter[str]()
    for number in range(300):
        row = builder.row("textual", number)
        question, answer = tokenizer.decode(row.words[: row.answer]), tokenizer.decode(row.words[row.answer :])
        if answer.startswith("<a_"):
            (item,) = spoken(answer)
            found = re.search(
                r'(?:Title: |called "|Find |called |came ")(.*?)(?:" is |\. Found|\nItem|: $|", which)', question
            )
            if found:
                assert found[1] == title_of(item)
                seen["to item"] += 1
        elif question.endswith(("Title: ", "is: ")):
            assert answer == title_of(spoken(question)[-1]) + tokenizer.eos_token
            seen["title"] += 1
        elif question.endswith(("Brand: ", "? ")) and "Maker" in answer:
            assert answer == f"{brand_of(spoken(question)[-1])}{tokenizer.eos_token}"
            seen["brand"] += 1
    assert min(seen[kind] for kind in ("to item", "title", "brand")) > 10


def test_every_template_of_a_task_is_drawn(builder: Builder, tokenizer: Any) -> None:
    asked = [tokenizer.decode(builder.row("preference", number).words) for number in range(40)]
    assert {text.split("<")[0] for text in asked} == {"Items so far, oldest first: ", "Who took "}


def test_wishes_are_those_of_the_item_that_follows(builder: Builder, tokenizer: Any) -> None:
    for name in ("category_and_history_to_item", "brand_and_history_to_item"):
        for parts in said_by(builder, name):
            item = items_of(parts["item"])[0]
            wish = tokenizer.decode(parts[name.split("_")[0]])
            assert wish == (f"shelf {item % 6}" if name.startswith("category") else brand_of(item))


def test_answers_are_yes_for_what_came_and_no_for_what_never_did(
    builder: Builder, inputs: Inputs, tokenizer: Any
) -> None:
    task, shop = TASKS["yes_or_no"], builder.shop
    said = Counter[str]()
    for number, place in enumerate(task.subjects(shop).tolist()):
        parts = task.parts(shop, place, np.random.default_rng(number))
        item, candidate = shop.before(place)[1], items_of(parts["candidate"])[0]
        answer = tokenizer.decode(parts["answer"])
        assert (candidate == item) is (answer == "yes")
        assert answer == "yes" or candidate not in shop.training[shop.user(place)]
        said[answer] += 1
    assert 0.4 < said["yes"] / said.total() < 0.6


def test_one_of_two_or_four_candidates_came_and_the_others_never_did(builder: Builder) -> None:
    task, shop = TASKS["choice"], builder.shop
    sizes, places = Counter[int](), Counter[int]()
    for number, place in enumerate(task.subjects(shop).tolist()):
        parts = task.parts(shop, place, np.random.default_rng(number))
        item, candidates = items_of(parts["item"])[0], items_of(parts["candidates"])
        assert item == shop.before(place)[1]
        assert len(set(candidates)) == len(candidates)
        assert set(candidates) & set(shop.training[shop.user(place)].tolist()) == {item}
        sizes[len(candidates)] += 1
        places[candidates.index(item)] += 1
    assert set(sizes) == {2, 4}
    assert set(places) == {0, 1, 2, 3}


def test_likes_are_the_most_frequent_telling_categories_and_brands(builder: Builder) -> None:
    # Shelves 0, 1, 2, 0; makers 0, 1, 2 and 1 again; "shop" is every item's and tells nothing.
    assert liked(builder.shop.facts, np.asarray([0, 1, 2, 6], np.int32)) == [
        "shelf 0",
        "shelf 2",
        "shelf 1",
        "Maker1",
        "Maker2",
    ]


def test_long_histories_are_cut_where_the_context_ends_oldest_out(inputs: Inputs, tokenizer: Any) -> None:
    builder = builder_of(inputs, align("tokens"))
    task = TASKS["choice"]
    history = np.arange(300, dtype=np.int32) % ITEM_COUNT
    candidates = np.asarray([1, 2, 3, 4], np.int32)
    parts: Parts = {HISTORY: history, "candidates": candidates, "item": candidates[:1]}
    row = builder.spelling.example(task, parts, np.random.default_rng(0))
    assert 128 - LEVELS < len(row.words) <= 128
    said = spoken(tokenizer.decode(row.words))
    assert said[-5:] == [1, 2, 3, 4, 1]
    assert said[:-5] == history[-len(said) + 5 :].tolist()
    compact = builder_of(inputs, align("compact")).spelling
    wish: Parts = {HISTORY: history, "phrase": np.arange(9, dtype=np.int32), "item": candidates[:1]}
    cut = compact.example(TASKS["phrase_and_history_to_item"], wish, np.random.default_rng(0))
    assert len(cut.words) + len(cut.items) == 128
    assert cut.items.tolist() == [*history[-118:].tolist(), 1]
    assert cut.answer == 118


def test_compact_examples_are_words_then_items_and_learn_the_last(inputs: Inputs) -> None:
    builder, plain = builder_of(inputs, align("compact")), PlainText(load_tokenizer(inputs.base.path))
    lengths, texts = set(), set()
    for number in range(100):
        row = builder.row("textual", number)
        assert row.answer == len(row.items) - 1
        title = title_of(int(row.items[-1]))
        said = [text for text in (title, f"a fine {title}") if row.words.tolist() == plain(text, 32).tolist()]
        assert said
        texts.update(text == title for text in said)
        lengths.add(min(row.answer, 2))
    assert lengths == {0, 1, 2}
    assert texts == {True, False}


def test_compact_models_learn_what_is_answered_with_an_item() -> None:
    assert all(TASKS[name].answer == "item" for name in TASKS if TASKS[name].compact)
    assert [family for family in FAMILIES if not tasks_of(family, "compact")] == ["negative", "preference"]
    assert unanswered(align("compact")) == ["negative", "preference"]
    assert unanswered(align("tokens")) == []
    assert all(place in ITEMS or place.isidentifier() for task in TASKS.values() for place in task.places)


def test_tasks_without_subjects_are_left_out(tmp_path: Path) -> None:
    bare = builder_of(write_inputs(tmp_path), align("tokens"))
    assert {asked.task.name for asked in bare.asked["query"]} == {"phrase_to_item", "phrase_and_history_to_item"}
    assert set(bare.sizes) == {"sequential", "textual", "query", "negative"}


def test_titles_that_spell_code_or_special_tokens_say_none(tmp_path: Path) -> None:
    titles: list[str | None] = [f"<a_{n % CODES}><b_1> <|endoftext|> thing {n}" for n in range(ITEM_COUNT)]
    inputs = write_inputs(tmp_path, titles=titles)
    builder = builder_of(inputs, align("tokens"))
    tokenizer = load_tokenizer(inputs.base.path)
    known = len(tokenizer)
    for parts in said_by(builder, "title_to_item"):
        ids = np.asarray(parts["title"])
        assert len(ids)
        assert ids.max() < known
        assert not set(ids.tolist()) & set(tokenizer.all_special_ids)


def test_tokens_of_another_corpus_are_refused(inputs: Inputs, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    other = write_inputs(tmp_path)
    table = pq.read_table(other.tokens.path / "codes.parquet")
    renamed = table.set_column(0, "item_id", pa.array([f"j{n}" for n in range(ITEM_COUNT)]))
    pq.write_table(renamed, other.tokens.path / "codes.parquet")
    with pytest.raises(ArtifactError, match="codes of other items"):
        builder_of(replace(inputs, tokens=other.tokens), align("compact"))


def test_a_vocabulary_that_holds_code_tokens_is_refused(inputs: Inputs, tmp_path: Path) -> None:
    other = write_inputs(tmp_path)
    tokenizer = load_tokenizer(other.base.path)
    name_codes(tokenizer, 1, 1)
    tokenizer.save_pretrained(other.base.path)
    with pytest.raises(ArtifactError, match="already holds code tokens"):
        builder_of(replace(inputs, base=other.base), align("tokens"))


def test_words_that_do_not_fit_are_refused_by_task_and_template(inputs: Inputs, tmp_path: Path) -> None:
    from semconv.alignment.templates import TEMPLATES

    long = tmp_path / "long.toml"
    long.write_text(TEMPLATES.read_text().replace("Who makes {item}?", f"{'who ' * 60}makes {{item}}?"))
    tasks = {"textual": 1.0, "templates": str(long)}
    with pytest.raises(SettingError, match=r"who makes \{item\}\? \{brand\}' of task item_to_brand needs \d+ tokens"):
        builder_of(inputs, align("tokens", tasks=tasks))
    builder_of(inputs, align("tokens", tasks=tasks | {"textual": 0.0, "query": 1.0}))


def test_a_corpus_without_sequences_is_refused(tmp_path: Path) -> None:
    inputs = write_inputs(tmp_path, walks=[[1, 2, 3], [4, 5, 6]])
    with pytest.raises(InputError, match="no sequence to learn"):
        builder_of(inputs, align("compact"))


@pytest.mark.parametrize(
    ("spelling", "tasks"),
    [("compact", {"textual": 0.0, "negative": 1.0}), ("tokens", {"textual": 0.001})],
)
def test_families_with_nothing_to_learn_are_refused(inputs: Inputs, spelling: str, tasks: dict[str, float]) -> None:
    with pytest.raises(SettingError, match=f"no example that the {spelling} spelling could learn from"):
        builder_of(inputs, align(spelling, tasks={"sequential": 0.0} | tasks))


@pytest.mark.parametrize("size", [1, 2, 6, 7, 100, 610])
def test_subjects_are_gone_through_before_any_comes_again(size: int) -> None:
    for turn in range(3):
        assert sorted(strided(turn * size + n, size, seed=5) for n in range(size)) == list(range(size))

"""Which examples are trained on, when, and what they look like in either spelling."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from semconv.alignment.batches import Batches
from semconv.alignment.mixture import Mixture
from semconv.alignment.prompts import HistoryPrompt, history_opening, history_prefix
from semconv.alignment.sampler import Sampler
from semconv.alignment.sequences import windows
from semconv.alignment.spelling import compact_example, compact_size, token_example, token_size
from semconv.alignment.templates import TEMPLATES
from semconv.artifacts.ragged import Ragged
from semconv.llm.compact_batch import NOTHING, pack_examples
from semconv.llm.load import load_tokenizer
from semconv.llm.vocabulary import code_ids, name_codes
from semconv.training.align import Inputs
from tests.unit.alignment.full_shop import EVERYTHING, align, builder_of, write_full_shop
from tests.unit.training.tiny_inputs import CODES, LEVELS

TRAINING = Ragged.of([[0, 1, 2, 3, 4, 5, 6], [], [7, 8], [9], []])


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    return write_full_shop(tmp_path_factory.mktemp("shop"))


@pytest.mark.parametrize(("size", "batch_size", "world"), [(100, 16, 1), (100, 16, 3), (7, 16, 4), (3, 1, 3)])
def test_every_example_comes_once_an_epoch_whoever_takes_it(size: int, batch_size: int, world: int) -> None:
    sampler = Sampler(size, batch_size, seed=3, world=world)
    for epoch in range(2):
        batches = [sampler.batch(epoch, step) for step in range(sampler.steps)]
        shares = [batch[rank::world] for batch in batches for rank in range(world)]
        assert sorted(np.concatenate(shares).tolist()) == list(range(size))
        assert min(map(len, shares)) >= 1
        assert max(map(len, batches)) - min(map(len, batches)) <= 1
    assert not np.array_equal(sampler.batch(0, 0), sampler.batch(1, 0)) or size < 10


def test_batches_are_the_same_on_every_number_of_workers() -> None:
    one, three = Sampler(100, 16, seed=3), Sampler(100, 16, seed=3, world=3)
    assert all(np.array_equal(one.batch(2, step), three.batch(2, step)) for step in range(one.steps))
    assert not np.array_equal(one.batch(2, 0), Sampler(100, 16, seed=4).batch(2, 0))


def test_windows_predict_every_item_but_a_first_one_once() -> None:
    cut = windows(TRAINING, 4)
    found = [cut[number] for number in range(len(cut))]
    assert [row.tolist() for row, _ in found] == [[3, 4, 5, 6], [0, 1, 2, 3], [7, 8]]
    assert [whole for _, whole in found] == [False, True, True]
    assert sorted(item for row, _ in found for item in row[1:].tolist()) == [1, 2, 3, 4, 5, 6, 8]


@pytest.mark.parametrize("length", [2, 3, 5, 50])
def test_windows_of_any_length_cover_sequences_of_any_length(length: int) -> None:
    training = Ragged.of([list(range(100 * many, 100 * many + many)) for many in range(12)])
    cut = windows(training, length)
    found = [cut[number][0] for number in range(len(cut))]
    assert sorted(int(item) for row in found for item in row[1:]) == [
        100 * many + place for many in range(12) for place in range(1, many)
    ]
    assert all(2 <= len(row) <= length for row in found)
    assert len(windows(Ragged.of([[], [1]]), length)) == 0


def test_a_compact_sequence_learns_its_first_item_only_where_the_user_began(inputs: Inputs) -> None:
    builder = builder_of(inputs, align("compact", max_history=3))
    rows = [compact_example(builder.row("sequential", number)) for number in range(builder.sizes["sequential"])]
    learned = 0
    for example in rows:
        assert example.targets is not None
        assert example.targets[1:-1].tolist() == example.history[1:].tolist()
        assert example.targets[0] in (NOTHING, example.history[0])
        learned += example.target_count
    training = inputs.corpus.training()
    assert learned == sum(len(row) for row in training if len(row) > 1)


def test_a_token_sequence_is_the_prompt_and_learns_every_item_after_the_first(inputs: Inputs) -> None:
    builder = builder_of(inputs, align("tokens"))
    tokenizer = load_tokenizer(inputs.base.path)
    name_codes(tokenizer, LEVELS, CODES)
    ids_LC = code_ids(tokenizer, LEVELS, CODES)
    prompt = HistoryPrompt(tokenizer, ids_LC, inputs.tokens.codes, max_history=12)
    items = windows(inputs.corpus.training(), 13)[2][0]
    example = token_example(builder.row("sequential", 2))
    assert example.ids[:-LEVELS].tolist() == list(prompt(items[:-1]))
    assert list(prompt(items[:0])) == history_prefix(tokenizer)
    first = len(history_prefix(tokenizer)) + LEVELS
    assert np.flatnonzero(example.learned).tolist() == list(range(first, len(example.ids)))
    assert example.target_count == LEVELS * (len(items) - 1)


def test_other_words_around_a_history_are_those_it_is_asked_with(inputs: Inputs, tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text(TEMPLATES.read_text().replace("Items so far, oldest first: ", "So far: "))
    tokenizer = load_tokenizer(inputs.base.path)
    name_codes(tokenizer, LEVELS, CODES)
    ids_LC, opening = code_ids(tokenizer, LEVELS, CODES), history_opening(str(own))
    assert opening == "So far: "
    prompt = HistoryPrompt(tokenizer, ids_LC, inputs.tokens.codes, 12, opening)
    row = builder_of(inputs, align("tokens", tasks={"templates": str(own)})).row("sequential", 2)
    items = windows(inputs.corpus.training(), 13)[2][0]
    assert row.words[:-LEVELS].tolist() == list(prompt(items[:-1]))


@pytest.mark.parametrize("spelling", ["compact", "tokens"])
def test_rows_are_a_function_of_seed_family_and_number(inputs: Inputs, spelling: str) -> None:
    one, two, other = (builder_of(inputs, align(spelling), seed) for seed in (5, 5, 6))
    assert set(one.sizes) == (set(EVERYTHING) if spelling == "tokens" else {"sequential", "textual", "query"})
    for family, size in one.sizes.items():
        numbers = range(min(size, 40))
        straight = [_plain(one.row(family, number)) for number in numbers]
        assert straight == [_plain(two.row(family, number)) for number in reversed(numbers)][::-1]
        if family != "sequential":
            assert straight != [_plain(other.row(family, number)) for number in numbers]


def _plain(row: tuple[object, ...]) -> tuple[object, ...]:
    return tuple(part.tolist() if isinstance(part, np.ndarray) else part for part in row)


def test_a_weight_changes_how_much_and_not_what(inputs: Inputs) -> None:
    less, more = (builder_of(inputs, align("compact", tasks={"textual": weight})) for weight in (0.1, 0.5))
    assert (less.sizes["textual"], more.sizes["textual"]) == (48, 240)
    for number in range(48):
        assert _plain(less.row("textual", number)) == _plain(more.row("textual", number))


@pytest.mark.parametrize("spelling", ["compact", "tokens"])
def test_sizes_are_those_of_the_examples(inputs: Inputs, spelling: str) -> None:
    builder = builder_of(inputs, align(spelling))
    make, measure = (token_example, token_size) if spelling == "tokens" else (compact_example, compact_size)
    for family, size in builder.sizes.items():
        for number in range(min(size, 60)):
            row = builder.row(family, number)
            example: Any = make(row)
            assert measure(row) == (len(example), example.target_count)


def test_scales_make_the_mean_over_ranks_the_mean_over_targets(inputs: Inputs) -> None:
    builder = builder_of(inputs, align("compact"))
    examples = Mixture(builder, {"sequential": 60, "textual": 20}, 1, compact_example, compact_size)
    for world in (1, 2, 3):
        ranks = [Batches(examples, pack_examples, batch_size=6, seed=0, rank=r, world=world) for r in range(world)]
        packed = [batches(0, 1).parts[0] for batches in ranks]
        weights = sum(int((batch.targets_RT >= 0).sum()) * batch.scale for batch in packed) / world
        assert weights == pytest.approx(1.0)


def test_what_validates_or_tests_is_in_no_example(tmp_path: Path) -> None:
    from tests.unit.training.tiny_inputs import ITEM_COUNT, ring_walks

    walks = ring_walks(users=20)
    other = [[*walk[:-2], (walk[-2] + 9) % ITEM_COUNT, (walk[-1] + 13) % ITEM_COUNT] for walk in walks]
    shops = [write_full_shop(tmp_path / str(n), given) for n, given in enumerate((walks, other))]
    one, two = (builder_of(shop, align("tokens")) for shop in shops)
    assert one.sizes == two.sizes
    for family, size in one.sizes.items():
        for number in range(size):
            assert _plain(one.row(family, number)) == _plain(two.row(family, number))

"""Which examples are trained on, and when."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from semconv.alignment.batches import Batches
from semconv.alignment.compact import CompactExamples
from semconv.alignment.prompts import HistoryPrompt, history_prefix, item_tokens, read_templates
from semconv.alignment.sampler import Sampler
from semconv.alignment.sequences import windows
from semconv.alignment.tokens import TokenExamples
from semconv.artifacts.ragged import Ragged
from semconv.errors import SettingError
from semconv.llm.compact_batch import NOTHING, pack_examples
from semconv.llm.small import train_tokenizer

TRAINING = Ragged.of([[0, 1, 2, 3, 4, 5, 6], [7, 8], [9], []])
WORDS = [np.asarray([70 + item, 71], np.int32) for item in range(9)] + [np.zeros(0, np.int32)]


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
    rows = [row.tolist() for row in cut.rows]
    assert rows == [[3, 4, 5, 6], [0, 1, 2, 3], [7, 8]]
    assert cut.whole == [False, True, True]
    assert sorted(item for row in rows for item in row[1:]) == [1, 2, 3, 4, 5, 6, 8]


def _compact(seed: int = 1) -> CompactExamples:
    return CompactExamples(TRAINING, WORDS, max_history=3, text_share=0.8, seed=seed)


def test_compact_examples_are_sequences_and_items_asked_for_in_words() -> None:
    examples = _compact()
    assert len(examples) == 15
    first = examples.example(0, 0)
    assert first.history.tolist() == [3, 4, 5]
    assert first.targets is not None
    assert first.targets.tolist() == [NOTHING, 4, 5, 6]
    whole = examples.example(0, 1)
    assert whole.targets is not None
    assert whole.targets.tolist() == [0, 1, 2, 3]
    followers = set(zip(TRAINING.values[:-1].tolist(), TRAINING.values[1:].tolist(), strict=True))
    lengths = set()
    for epoch in range(5):
        for number in range(3, len(examples)):
            text = examples.example(epoch, number)
            assert text.targets is not None
            assert text.target_count == 1
            target = int(text.targets[-1])
            assert text.words.tolist() == WORDS[target].tolist()
            assert target != 9
            lengths.add(len(text.history))
            if len(text.history):
                assert (int(text.history[-1]), target) in followers
    assert lengths >= {0, 1, 2}


def test_an_example_is_a_function_of_seed_epoch_and_number() -> None:
    one, two = _compact().example(3, 10), _compact().example(3, 10)
    assert one.words.tolist() == two.words.tolist()
    assert one.history.tolist() == two.history.tolist()
    drawn = {tuple(_compact(seed).example(epoch, 10).words) for seed in range(3) for epoch in range(3)}
    assert len(drawn) > 1


def test_scales_make_the_mean_over_ranks_the_mean_over_targets() -> None:
    for world in (1, 2, 3):
        ranks = [
            Batches(_compact(), pack_examples, batch_size=6, seed=0, rank=rank, world=world) for rank in range(world)
        ]
        packed = [batches(0, 1) for batches in ranks]
        weights = sum(int((batch.targets_RT >= 0).sum()) * batch.scale for batch in packed) / world
        assert weights == pytest.approx(1.0)


def test_token_examples_learn_every_item_after_the_first_and_answer_both_ways() -> None:
    tokenizer = train_tokenizer(["Items so far Title"], 300)
    tokens_NL = 1000 + np.arange(20).reshape(10, 2)
    examples = TokenExamples(TRAINING, WORDS, tokenizer, tokens_NL, max_history=3, text_share=0.9, seed=1)
    sequence = examples.example(0, 2)
    prefix = history_prefix(tokenizer)
    assert sequence.ids.tolist() == [*prefix, 1014, 1015, 1016, 1017]
    assert sequence.ids[sequence.learned].tolist() == [1016, 1017]
    answers = set()
    for number in range(3, len(examples)):
        text = examples.example(0, number)
        learned = text.ids[text.learned].tolist()
        item = int((text.ids[text.ids >= 1000][0] - 1000) // 2)
        says_title = learned == [*WORDS[item].tolist(), tokenizer.eos_token_id]
        assert says_title or learned == tokens_NL[item].tolist()
        answers.add(says_title)
    assert answers == {True, False}


def test_the_prompt_is_how_training_begins() -> None:
    tokenizer = train_tokenizer(["Items so far Title"], 300)
    codes_NL = np.asarray([[n % 3, n // 3] for n in range(9)], np.int32)
    tokens_LC = 500 + np.arange(6).reshape(2, 3)
    prompt = HistoryPrompt(tokenizer, tokens_LC, codes_NL, max_history=3)
    examples = TokenExamples(
        Ragged.of([[1, 2, 3, 4]]),
        [np.zeros(0, np.int32)] * 9,
        tokenizer,
        item_tokens(tokens_LC, codes_NL),
        max_history=3,
        text_share=0.5,
        seed=0,
    )
    trained = examples.example(0, 0).ids.tolist()
    assert list(prompt(np.asarray([8, 1, 2, 3], np.int32))) == trained[:-2]
    assert list(prompt(np.zeros(0, np.int32))) == history_prefix(tokenizer)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (("{title}\\nItem: {item}", "\\nItem: {item}"), "'Title: \\\\nItem: {item}' of task title_to_item"),
        (("is {item}", "is {item}."), "task title_to_item"),
        (("{history}", "{histories}"), "task history"),
        (("item_to_title = [", "other = ["), "no templates for the task item_to_title"),
        (("history = ", "history "), "cannot be read"),
    ],
)
def test_a_template_that_does_not_fit_is_named(change: tuple[str, str], problem: str, tmp_path: Path) -> None:
    from semconv.alignment.prompts import TEMPLATES

    changed = tmp_path / "templates.toml"
    changed.write_text(TEMPLATES.read_text().replace(*change))
    with pytest.raises(SettingError) as error:
        read_templates(changed)
    assert problem.replace("\\\\", "\\") in str(error.value)
    assert str(changed) in str(error.value)
